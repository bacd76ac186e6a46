"""`sensorproof bench search`: what the search brings on test frames, what early stops save, and what workers add.

Everything is measured on the project's prepared data with the settings of params.yaml. Trainings on the test split are
kept in files, so that an interrupted measurement goes on.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from sensorproof.adapters.optuna import Source, join_search, run_search
from sensorproof.adapters.optuna_worker import Pace
from sensorproof.artifacts import PREPARED, QUARANTINED
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import ArmSettings, Gains, ScoredRun, SearchResult
from sensorproof.evaluation.comparison import compute_gains
from sensorproof.experiment import RunSpec, fit, score_split
from sensorproof.searching.space import given_settings, searched_arm, to_values
from sensorproof.settings import Settings

Report = Callable[[str], None]
_PACE = Pace(beat=1.0, grace=5.0, poll=0.2)


@dataclass(frozen=True)
class Savings:
    """The same search with and without early stops; scores are of the first seed on validation frames, in points."""

    steps: int
    full_steps: int
    best: float
    """Best mean of `full` and `mean` of any trial."""
    full_best: float

    @property
    def share(self) -> float:
        """Steps with early stops, as a share of those without."""
        return self.steps / self.full_steps


def search_once(settings: Settings, root: Path, name: str, report: Report) -> SearchResult:
    """Search in a journal of its own, or go on with it; the settings of params.yaml come first.

    Args:
        settings: what to search.
        root: folder for the journals.
        name: of the journal.
        report: prints one line for each training.
    """
    values = to_values(given_settings(settings), settings.search.space)
    first = [] if values is None else [(values, "params.yaml")]
    result, _ = run_search(_source(root, name), settings, first, report, _PACE)
    return result


def bench_gain(settings: Settings, seeds: Sequence[int], root: Path, report: Report) -> tuple[SearchResult, Gains]:
    """Search, then train the candidate's arm with the found and with the hand-set settings; score both on test.

    Args:
        settings: of the search and of the trainings.
        seeds: of the trainings.
        root: folder for results.
        report: prints one line for each training.

    Returns:
        The search, and the gain of the found settings over the hand-set ones, paired by seed.
    """
    result = search_once(settings, root, "gain", report)
    found = result.chosen_trial
    assert found is not None
    data = PreparedDataset(PREPARED, QUARANTINED)
    ours, theirs = (
        [_train_and_test(own, seed, data.standardized(own.standardize or {}), settings, root, report) for seed in seeds]
        for own in (found.settings, given_settings(settings))
    )
    return result, compute_gains(ours, theirs, settings.evaluate.confidence)


def _train_and_test(
    chosen: ArmSettings, seed: int, data: PreparedDataset, settings: Settings, root: Path, report: Report
) -> ScoredRun:
    """Train and score on the test split, or read the result of an earlier call."""
    train = chosen.apply(settings.train)
    spec = RunSpec(searched_arm(settings), seed, settings.train.steps, settings.model, train, chosen.regularizer)
    path = root / "runs" / f"{spec.arm}-{seed}-{spec.key(data)}.json"
    if path.exists():
        return ScoredRun.read(path)
    result = fit(spec, data)
    scores = score_split(result.model, data, "test", train.device, train.batch_size)
    own = ScoredRun(
        **dict(scores.to_document()),
        arm=spec.arm,
        seed=seed,
        train_seconds=result.run.seconds,
        parameters=result.parameters,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    own.write(path)
    report(f"strength {chosen.regularizer.strength:.3g}, seed {seed}: test {scores}")
    return own


def bench_pruning(settings: Settings, root: Path, report: Report) -> Savings:
    """Run the same search with and without early stops, with one seed a trial.

    Args:
        settings: what to search.
        root: folder for the journals.
        report: prints one line for each training.
    """
    one_seed = _with_search(settings, seeds=settings.search.seeds[:1])
    without = _with_search(one_seed, pruning=settings.search.pruning.model_copy(update={"first": 1.0}))
    with_stops, whole = (search_once(s, root, n, report) for s, n in ((one_seed, "stops"), (without, "whole")))
    return Savings(
        steps=sum(trial.steps for trial in with_stops.trials),
        full_steps=sum(trial.steps for trial in whole.trials),
        best=_best(with_stops),
        full_best=_best(whole),
    )


def _best(result: SearchResult) -> float:
    return max((t.full + t.mean) / 2 for t in result.trials if t.full is not None and t.mean is not None)


def bench_workers(settings: Settings, root: Path, report: Report) -> dict[int, float]:
    """Measure trials per minute of one and of two workers with one thread each, start of the processes included.

    Args:
        settings: what to search; no trial is stopped early, so that all cost the same.
        root: folder for the journals.
        report: prints one line for each training.

    Returns:
        {number of workers: trials per minute}.
    """
    pruning = settings.search.pruning.model_copy(update={"first": 1.0})
    threads = torch.get_num_threads()
    speeds = {}
    for workers in (1, 2):
        # `run_search` shares out the threads of this process.
        torch.set_num_threads(workers)
        own = _with_search(settings, seeds=settings.search.seeds[:1], pruning=pruning, workers=workers)
        started = time.perf_counter()
        result = search_once(own, root, f"workers-{workers}-{time.time_ns()}", report)
        speeds[workers] = 60 * len(result.trials) / (time.perf_counter() - started)
    torch.set_num_threads(threads)
    return speeds


def bench_kills(settings: Settings, kills: int, root: Path, report: Report) -> SearchResult:
    """Kill one of two further workers every few seconds while a search runs; return the search.

    Args:
        settings: what to search.
        kills: how often.
        root: folder for the journal.
        report: prints one line for each training and each kill.
    """
    source = _source(root, f"kills-{time.time_ns()}")
    context, rng = get_context("spawn"), random.Random(0)
    leader = context.Process(target=_lead, args=(settings, root, source.journal.name))
    leader.start()
    helpers = [context.Process(target=_join, args=(source, settings)) for _ in range(2)]
    for helper in helpers:
        helper.start()
    done = 0
    while done < kills and leader.is_alive():
        time.sleep(rng.uniform(2, 6))
        place = rng.randrange(2)
        if helpers[place].is_alive():
            helpers[place].kill()
            done += 1
            report(f"killed worker {place}, {done} of {kills}")
        helpers[place].join()
        helpers[place] = context.Process(target=_join, args=(source, settings))
        helpers[place].start()
    leader.join()
    for helper in helpers:
        helper.join()
    report(f"{done} workers were killed")
    return search_once(settings, root, source.journal.name.removesuffix(".log"), report)


def _lead(settings: Settings, root: Path, name: str) -> None:
    torch.set_num_threads(1)
    search_once(settings, root, name.removesuffix(".log"), lambda _: None)


def _join(source: Source, settings: Settings) -> None:
    """Help with the search once it is there; a search that has ended needs no help."""
    from sensorproof.errors import UsageError

    torch.set_num_threads(1)
    for _ in range(100):
        try:
            join_search(source, settings, None, lambda _: None, _PACE)
        except UsageError:
            time.sleep(0.5)
        else:
            return


def _source(root: Path, name: str) -> Source:
    return Source(PREPARED, QUARANTINED, root / "studies" / f"{name}.log")


def _with_search(settings: Settings, **changes: object) -> Settings:
    """Return the settings with another section `search`."""
    return settings.model_copy(update={"search": settings.search.model_copy(update=changes)})
