"""Every arm on a data set, paired by seed, each tuned on validation data with the same budget. Test is looked at once.

Runs are independent of each other and shared out over processes; each result is kept in a file of its own, so that a
comparison cut short goes on where it was.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import torch

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.prepare import prepare
from sensorproof.evaluation.comparison import gain, summarize_arm
from sensorproof.experiment import RunSpec, fit, score_split
from sensorproof.files import hash_json, read_json, write_json
from sensorproof.settings import Arm, BenchmarkDataset, Settings

BASELINE: Arm = "baseline"
ARMS: tuple[Arm, ...] = get_args(Arm)


@dataclass(frozen=True)
class _Job:
    """One training: on which data, of what, and whether the test split is scored after it."""

    prepared: Path
    experiment: RunSpec
    test: bool
    cache: Path
    threads: int


def compare_dataset(
    each: BenchmarkDataset, settings: Settings, root: Path, workers: int, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Tune and train every arm on one data set.

    Args:
        root: folder for the arrays and the results of single runs.
        workers: processes; each takes its share of the processor's cores.

    Returns:
        The `arms` object of summary.json, each with `strength`, `gain` over the baseline, and `gain_of_candidate`: what the
        default gains over it.
    """
    folder = root / each.name
    prepared_dataset(each, settings, root)
    strengths = tune(each, settings, folder, workers, say)
    experiments = [
        experiment(arm, strengths[arm], seed, each.steps, each, settings) for arm in ARMS for seed in each.seeds
    ]
    results = run_all(experiments, folder, workers, True, say)
    runs = {arm: [r for e, r in zip(experiments, results, strict=True) if e.arm == arm] for arm in ARMS}
    arms: dict[str, Any] = {}
    for arm in ARMS:
        arms[arm] = summarize_arm(runs[arm]) | {"strength": strengths[arm]}
        arms[arm]["gain"] = gain(runs[arm], runs[BASELINE], settings.evaluate.confidence)
        arms[arm]["rivalry"] = gain(runs["regularized_dropout"], runs[arm], settings.evaluate.confidence)
    return arms


def prepared_dataset(each: BenchmarkDataset, settings: Settings, root: Path) -> Path:
    """The arrays of a data set, made where they are missing or the data, the size or the split are others now."""
    folder = root / each.name
    files = sorted(path for path in Path(each.raw).rglob("*") if path.is_file())
    stamps = [[path.relative_to(each.raw).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    source = {"files": hash_json(stamps), "size": each.size, "split": settings.data.split.model_dump()}
    if not (folder / "source.json").exists() or read_json(folder / "source.json") != source:
        prepare(settings.data.model_copy(update={"raw": each.raw, "size": each.size}), folder / "prepared")
        write_json(folder / "source.json", source)
    return folder / "prepared"


def tune(
    each: BenchmarkDataset,
    settings: Settings,
    folder: Path,
    workers: int,
    say: Callable[[str], None],
    arms: Sequence[Arm] = ARMS,
) -> dict[Arm, float]:
    """The strength of each arm with the best balance on the validation split, in the mean over the tuning seeds.

    0 for an arm that has none.
    """
    strengths = settings.compare.strengths
    choices = [(arm, value) for arm in arms for value in strengths.get(arm, ())]
    steps = max(1, round(settings.compare.tuning_fraction * each.steps))
    experiments = [
        experiment(arm, value, seed, steps, each, settings) for arm, value in choices for seed in each.tuning_seeds
    ]
    results = iter(run_all(experiments, folder, workers, False, say))
    best: dict[Arm, tuple[float, float]] = {}
    for arm, value in choices:
        score = fmean(next(results)["validation_balance"] for _ in each.tuning_seeds)
        if arm not in best or score > best[arm][0]:
            best[arm] = (score, value)
    return {arm: best[arm][1] if arm in best else 0.0 for arm in arms}


def experiment(arm: Arm, strength: float, seed: int, steps: int, each: BenchmarkDataset, settings: Settings) -> RunSpec:
    """A training of an arm at a strength; nothing else differs between arms."""
    regularizer = settings.regularizer.model_copy(update={"strength": strength})
    train = settings.train.model_copy(update={"batch_size": each.batch_size, "learning_rate": each.learning_rate})
    return RunSpec(arm, seed, steps, settings.model, train, regularizer)


def run_all(
    experiments: Sequence[RunSpec], folder: Path, workers: int, test: bool, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Run trainings, as many at a time as there are workers, and return their results in order."""
    prepared, threads = folder / "prepared", max(1, torch.get_num_threads() // workers)
    data = PreparedDataset(prepared)
    jobs = [
        _Job(prepared, e, test, folder / "runs" / f"{e.arm}-{e.seed}-{e.key(data)}-{int(test)}.json", threads)
        for e in experiments
    ]
    waiting = [job for job in jobs if not job.cache.exists()]
    with ProcessPoolExecutor(max(1, min(workers, len(waiting))), mp_context=get_context("spawn")) as pool:
        running = {pool.submit(run, job): job for job in waiting}
        try:
            for number, done in enumerate(as_completed(running), start=1):
                done.result()
                job = running[done]
                e = job.experiment
                say(f"{folder.name}: {number} of {len(waiting)}: {e.arm} {e.regularizer.strength:g} seed {e.seed}")
        finally:
            pool.shutdown(cancel_futures=True)
    return [read_json(job.cache) for job in jobs]


def run(job: _Job) -> None:
    """Train, score and write the result; runs in a process of its own."""
    torch.set_num_threads(job.threads)
    data = PreparedDataset(job.prepared)
    fitted = fit(job.experiment, data)
    result: dict[str, Any] = {
        "arm": job.experiment.arm,
        "seed": job.experiment.seed,
        "validation_balance": fitted.validation.selection_score,
        "train_seconds": fitted.run.seconds,
        "parameters": sum(p.numel() for p in fitted.model.parameters()),
    }
    if job.test:
        settings = job.experiment.train
        result |= score_split(fitted.model, data, "test", settings.device, settings.batch_size).to_json()
    write_json(job.cache, result)
