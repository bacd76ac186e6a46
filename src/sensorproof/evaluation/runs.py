"""Score finished trainings on the hold-out, shared out over processes.

What is measured of one model are parts that do not need each other: one model alone keeps several GPUs busy. Each
process opens model and data itself. On the CPU it has one thread, so that the scores do not depend on how many there
are.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar, get_args

from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents.evaluation import BASELINE
from sensorproof.documents.protocols import ProtocolScores
from sensorproof.documents.runs import RunScores, TrainingRecord
from sensorproof.evaluation.expected import expected_scores
from sensorproof.evaluation.holdout import Part, PartScores, score_part
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.subsets import SubsetScores
from sensorproof.parallel import Progress, count_workers, map_in_order, single_threaded
from sensorproof.settings import Settings
from sensorproof.settings.evaluation import Protocol
from sensorproof.training.loop import choose_device
from sensorproof.training.processes import count_processes

_Value = TypeVar("_Value")
PARTS: Final[tuple[Part, ...]] = ("subsets", "silent", "degradations", "rmm", "nm", "emm", "information")
"""In the order in which they are begun: first what finds a model that answers NaN, then the longest, so that all
processes end at about the same time."""


@dataclass(frozen=True)
class RunFiles:
    """A finished training, and the prepared data."""

    folder: Path
    """What stage train wrote."""
    model_sha256: str
    """Hash of its model folder, which is recorded with the scores."""
    prepared: Path
    quarantined: Path | None = None


@dataclass(frozen=True)
class _Task:
    """One part of the evaluation of one training, in this process or another."""

    part: Part
    run: RunFiles
    settings: Settings
    holdout: str


def score_runs(
    runs: Sequence[RunFiles], settings: Settings, holdout: str, progress: Progress | None = None
) -> list[tuple[RunScores, PixelCounts]]:
    """Score finished trainings on the hold-out; baseline and candidate also under the protocols.

    Args:
        runs: all of them on the same data.
        settings: device, processes, batch size and protocols.
        holdout: the hash of the hold-out.
        progress: is told how many parts are done.

    Returns:
        For each run its scores, and what they are made of.

    Raises:
        SensorproofError: see `score_part`; or a process was killed, such as for lack of memory.
    """
    trainings = [TrainingRecord.read(run.folder / "train.json") for run in runs]
    tasks = [
        _Task(part, run, settings, holdout)
        for part in PARTS
        for run, training in zip(runs, trainings, strict=True)
        if _is_measured(part, training.arm, settings)
    ]
    measured: dict[Path, list[PartScores]] = {run.folder: [] for run in runs}
    for task, scores in zip(tasks, map_in_order(_score, tasks, scoring_processes(settings), progress), strict=True):
        measured[task.run.folder].append(scores)
    return [_join(run, training, measured[run.folder]) for run, training in zip(runs, trainings, strict=True)]


def _is_measured(part: Part, arm: str, settings: Settings) -> bool:
    """Return whether a part is measured of an arm: most of them of baseline and candidate alone."""
    if part != "subsets" and arm not in (BASELINE, settings.promotion.candidate):
        return False
    return part not in get_args(Protocol) or part in settings.evaluate.protocols


def scoring_processes(settings: Settings) -> int:
    """Return how many processes score: `compute.workers` on the CPU, `compute.processes` with a GPU each."""
    if choose_device(settings.train.device).type == "cpu":
        return count_workers(settings.compute.workers)
    return count_processes(settings.compute.processes) if settings.train.device in ("auto", "cuda") else 1


def _score(task: _Task) -> PartScores:
    """Measure a part; in any process."""
    data = PreparedDataset(task.run.prepared, task.run.quarantined)
    on_cpu = choose_device(task.settings.train.device).type == "cpu"
    with single_threaded() if on_cpu else nullcontext():
        return score_part(task.part, task.run.folder, data, task.settings, task.holdout)


def _join(run: RunFiles, training: TrainingRecord, parts: Sequence[PartScores]) -> tuple[RunScores, PixelCounts]:
    """Put the parts of a run together; those of the subsets are the first."""
    scores, counts = parts[0].scores, parts[0].counts
    assert scores is not None
    assert counts is not None
    protocols = [part.protocols for part in parts if part.protocols is not None]
    scored = RunScores(
        **dict(scores.to_document()),
        arm=training.arm,
        seed=training.seed,
        train_seconds=training.train_seconds,
        parameters=training.parameters,
        validation_mean=training.val.mean,
        model_sha256=run.model_sha256,
        calibration=parts[0].calibration,
        silent=_measured(part.silent for part in parts),
        information=_measured(part.information for part in parts),
        protocols=_join_protocols(protocols, scores) if protocols else None,
    )
    return scored, counts


def _measured(values: Iterable[_Value | None]) -> _Value | None:
    """Return the one that is there, if any is."""
    return next((value for value in values if value is not None), None)


def _join_protocols(parts: Sequence[ProtocolScores[float]], scores: SubsetScores) -> ProtocolScores[float]:
    """Put the scores under single protocols together, and add the expected scores of the subsets."""
    probability: Mapping[str, float] = parts[0].failure_probability
    tried = {name: table for part in parts for name in get_args(Protocol) if (table := getattr(part, name)) is not None}
    expected = expected_scores(scores.subsets, probability, probability)
    return parts[0].model_copy(update=tried | {"expected": expected})
