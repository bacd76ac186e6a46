"""Every arm on a data set, paired by seed, each tuned on validation data with the same budget. Test is scored once.

The trainings are independent of each other and run in as many processes as there are workers. Each result is kept in a
file of its own, so that an interrupted comparison resumes.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import TypeVar, get_args

import torch

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.prepare import prepare
from sensorproof.documents import BASELINE, CANDIDATE, ComparedArm, Document, ScoredRun, TuningRun
from sensorproof.evaluation.comparison import compute_gains, summarize_arm
from sensorproof.experiment import FitResult, RunSpec, fit, score_split
from sensorproof.files import read_json, write_json
from sensorproof.hashing import hash_json
from sensorproof.settings import Arm, BenchmarkDataset, Settings

ARMS: tuple[Arm, ...] = get_args(Arm)
Report = Callable[[str], None]
"""Prints one line of progress."""
_Result = TypeVar("_Result", bound=Document)


@dataclass(frozen=True)
class _Job:
    """One training: the data, what to train, and the file for the result."""

    prepared: Path
    spec: RunSpec
    score: Callable[[FitResult, PreparedDataset], Document]
    result: Path
    threads: int


def compare_dataset(
    dataset: BenchmarkDataset, settings: Settings, root: Path, workers: int, report: Report = print
) -> dict[str, ComparedArm]:
    """Tune and train every arm on one data set.

    Args:
        dataset: the data, and the length and seeds of the trainings.
        settings: everything else about the trainings.
        root: folder for the arrays and the results of single trainings.
        workers: number of processes, which share the processor's cores.
        report: prints one line for each training.
    """
    folder = root / dataset.name
    prepare_dataset(dataset, settings, root)
    strengths = tune(dataset, settings, folder, workers, report)
    specs = [
        specify(arm, strengths[arm], seed, dataset.steps, dataset, settings) for arm in ARMS for seed in dataset.seeds
    ]
    results = train_and_test(specs, folder, workers, report)
    runs = {arm: [result for result in results if result.arm == arm] for arm in ARMS}
    confidence = settings.evaluate.confidence
    return {
        arm: ComparedArm(
            **dict(summarize_arm(runs[arm])),
            strength=strengths[arm],
            gain=compute_gains(runs[arm], runs[BASELINE], confidence),
            gain_of_candidate=compute_gains(runs[CANDIDATE], runs[arm], confidence),
        )
        for arm in ARMS
    }


def prepare_dataset(dataset: BenchmarkDataset, settings: Settings, root: Path) -> Path:
    """Prepare the arrays of a data set, unless they exist for the same files, image size and split.

    Returns:
        The folder of the arrays.
    """
    folder = root / dataset.name
    files = sorted(path for path in Path(dataset.raw).rglob("*") if path.is_file())
    stamps = [
        [path.relative_to(dataset.raw).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in files
    ]
    source = {"files": hash_json(stamps), "size": dataset.size, "split": settings.data.split.model_dump()}
    if not (folder / "source.json").exists() or read_json(folder / "source.json") != source:
        prepare(settings.data.model_copy(update={"raw": dataset.raw, "size": dataset.size}), folder / "prepared")
        write_json(folder / "source.json", source)
    return folder / "prepared"


def tune(
    dataset: BenchmarkDataset,
    settings: Settings,
    folder: Path,
    workers: int,
    report: Report,
    arms: Sequence[Arm] = ARMS,
) -> dict[Arm, float]:
    """Choose each arm's strength by the selection score on the validation split, averaged over the tuning seeds.

    Args:
        dataset: the data, and the tuning seeds.
        settings: the strengths to choose from.
        folder: where the data set's arrays and results are.
        workers: number of processes.
        report: prints one line for each training.
        arms: to tune.

    Returns:
        {arm: strength}, 0 for an arm that has none.
    """
    strengths = settings.compare.strengths
    choices = [(arm, value) for arm in arms for value in strengths.get(arm, ())]
    steps = max(1, round(settings.compare.tuning_fraction * dataset.steps))
    specs = [
        specify(arm, value, seed, steps, dataset, settings) for arm, value in choices for seed in dataset.tuning_seeds
    ]
    results = iter(_run_all(specs, folder, workers, _score_validation, TuningRun, report))
    best: dict[Arm, tuple[float, float]] = {}
    for arm, value in choices:
        score = fmean(next(results).selection_score for _ in dataset.tuning_seeds)
        if arm not in best or score > best[arm][0]:
            best[arm] = (score, value)
    return {arm: best[arm][1] if arm in best else 0.0 for arm in arms}


def specify(arm: Arm, strength: float, seed: int, steps: int, dataset: BenchmarkDataset, settings: Settings) -> RunSpec:
    """Specify the training of an arm at a strength; nothing else differs between arms."""
    regularizer = settings.regularizer.model_copy(update={"strength": strength})
    train = settings.train.model_copy(update={"batch_size": dataset.batch_size, "learning_rate": dataset.learning_rate})
    return RunSpec(arm, seed, steps, settings.model, train, regularizer)


def train_and_test(specs: Sequence[RunSpec], folder: Path, workers: int, report: Report) -> list[ScoredRun]:
    """Train each spec and score it on the test split, or read the result of an earlier call.

    Args:
        specs: what to train.
        folder: where the data set's arrays and results are.
        workers: number of processes.
        report: prints one line for each training.

    Returns:
        The results, in the order of the specs.
    """
    return _run_all(specs, folder, workers, _score_test, ScoredRun, report)


def _score_validation(result: FitResult, data: PreparedDataset) -> TuningRun:
    """Score a training by which a strength is tried."""
    spec = result.spec
    return TuningRun(arm=spec.arm, seed=spec.seed, selection_score=result.validation.selection_score)


def _score_test(result: FitResult, data: PreparedDataset) -> ScoredRun:
    """Score a training on the test split."""
    spec = result.spec
    scores = score_split(result.model, data, "test", spec.train.device, spec.train.batch_size)
    return ScoredRun(
        **dict(scores.to_document()),
        arm=spec.arm,
        seed=spec.seed,
        train_seconds=result.run.seconds,
        parameters=result.parameters,
    )


def _run_all(
    specs: Sequence[RunSpec],
    folder: Path,
    workers: int,
    score: Callable[[FitResult, PreparedDataset], _Result],
    kind: type[_Result],
    report: Report,
) -> list[_Result]:
    """Run the trainings that have no result yet, as many at a time as there are workers; read all results in order."""
    prepared, threads = folder / "prepared", max(1, torch.get_num_threads() // workers)
    data = PreparedDataset(prepared)
    jobs = [
        _Job(prepared, spec, score, result_file(folder, spec, data, tested=kind is ScoredRun), threads)
        for spec in specs
    ]
    waiting = [job for job in jobs if not job.result.exists()]
    for number, spec in enumerate(_run_waiting(waiting, workers), start=1):
        label = f"{spec.arm} {spec.regularizer.strength:g} seed {spec.seed}"
        report(f"{folder.name}: {number} of {len(waiting)}: {label}")
    return [kind.read(job.result) for job in jobs]


def _run_waiting(jobs: Sequence[_Job], workers: int) -> Iterator[RunSpec]:
    """Run trainings and yield what was trained, in the order in which they end; one worker is this process."""
    if workers == 1 or not jobs:
        for job in jobs:
            _run(job)
            yield job.spec
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_run, job): job for job in jobs}
        try:
            for done in as_completed(running):
                done.result()
                yield running[done].spec
        finally:
            pool.shutdown(cancel_futures=True)


def result_file(folder: Path, spec: RunSpec, data: PreparedDataset, *, tested: bool) -> Path:
    """Name the file of one result; `tested` results have scores on the test split."""
    return folder / "runs" / f"{spec.arm}-{spec.seed}-{spec.key(data)}-{int(tested)}.json"


def _run(job: _Job) -> None:
    """Train, score and write the result; runs in a process of its own."""
    torch.set_num_threads(job.threads)
    data = PreparedDataset(job.prepared)
    job.score(fit(job.spec, data), data).write(job.result)
