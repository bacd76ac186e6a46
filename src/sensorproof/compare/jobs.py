"""Trainings that are independent of each other, in several processes, each with a file for its result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch

from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import Document, ScoredRun, TuningRun
from sensorproof.evaluation.subsets import subset_name
from sensorproof.experiment import FitResult, RunSpec, fit, score_split
from sensorproof.parallel import end_with_parent
from sensorproof.settings.data import Standardization

Report = Callable[[str], None]
"""Prints one line of progress."""
Sensors = tuple[str, ...] | None
"""Those that a training is given; None for all."""
_Result = TypeVar("_Result", bound=Document)


@dataclass(frozen=True)
class DataFiles:
    """Prepared data."""

    prepared: Path
    quarantined: Path | None = None
    standardize: Mapping[str, Standardization] = field(default_factory=dict)
    """See `PreparedDataset.standardized`."""

    def open(self, sensors: Sensors) -> PreparedDataset:
        """Open the data, with some of the sensors alone."""
        return PreparedDataset(self.prepared, self.quarantined, sensors).standardized(self.standardize)


@dataclass(frozen=True)
class _Job:
    """One training: the data, what to train, and the file for the result."""

    files: DataFiles
    sensors: Sensors
    spec: RunSpec
    score: Callable[[FitResult, PreparedDataset], Document]
    result: Path
    threads: int


def train_and_test(
    specs: Sequence[RunSpec],
    folder: Path,
    workers: int,
    report: Report,
    sensors: Sequence[Sensors] = (),
    files: DataFiles | None = None,
) -> list[ScoredRun]:
    """Train each spec and score it on the test split, or read the result of an earlier call.

    Args:
        specs: what to train.
        folder: where the data set's arrays and results are.
        workers: number of processes.
        report: prints one line for each training.
        sensors: of each spec; none for all sensors everywhere.
        files: the prepared data, if they are not in the folder.

    Returns:
        The results, in the order of the specs.
    """
    return _run_all(specs, folder, workers, _score_test, ScoredRun, report, sensors, files)


def train_and_validate(specs: Sequence[RunSpec], folder: Path, workers: int, report: Report) -> list[TuningRun]:
    """Train each spec and score it on the validation split; see `train_and_test`."""
    return _run_all(specs, folder, workers, _score_validation, TuningRun, report, (), None)


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
    sensors: Sequence[Sensors],
    files: DataFiles | None,
) -> list[_Result]:
    """Run the trainings that have no result yet, as many at a time as there are workers; read all results in order."""
    files, threads = files or DataFiles(folder / "prepared"), max(1, torch.get_num_threads() // workers)
    given = sensors or [None] * len(specs)
    data = {each: files.open(each) for each in set(given)}
    jobs = [
        _Job(files, own, spec, score, result_file(folder, spec, data[own], tested=kind is ScoredRun), threads)
        for spec, own in zip(specs, given, strict=True)
    ]
    waiting = [job for job in jobs if not job.result.exists()]
    for number, job in enumerate(_run_waiting(waiting, workers), start=1):
        label = f"{job.spec.arm} {job.spec.regularizer.strength:g} seed {job.spec.seed}"
        label += f" with {subset_name(job.sensors)} alone" if job.sensors else ""
        report(f"{folder.name}: {number} of {len(waiting)}: {label}")
    return [kind.read(job.result) for job in jobs]


def _run_waiting(jobs: Sequence[_Job], workers: int) -> Iterator[_Job]:
    """Run trainings and yield each, in the order in which they end; one worker is this process."""
    if workers == 1 or not jobs:
        for job in jobs:
            _run(job)
            yield job
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), end_with_parent) as pool:
        running = {pool.submit(_run, job): job for job in jobs}
        try:
            for done in as_completed(running):
                done.result()
                yield running[done]
        finally:
            pool.shutdown(cancel_futures=True)


def result_file(folder: Path, spec: RunSpec, data: PreparedDataset, *, tested: bool) -> Path:
    """Name the file of one result; `tested` results have scores on the test split."""
    return folder / "runs" / f"{spec.arm}-{spec.seed}-{spec.key(data)}-{int(tested)}.json"


def _run(job: _Job) -> None:
    """Train, score and write the result; runs in a process of its own."""
    torch.set_num_threads(job.threads)
    data = job.files.open(job.sensors)
    job.score(fit(job.spec, data), data).write(job.result)
