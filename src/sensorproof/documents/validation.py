"""artifacts/validation/verdict.json: what validation decided about every batch."""

from typing import Literal

from sensorproof.documents.base import Document

_Decision = Literal["accepted", "refused"]


class VerdictFrames(Document):
    """Frames in all, in quarantine, and at fault but released by a person."""

    total: int
    quarantined: int
    released: int


class PairRecord(Document):
    """What the images of a whole batch say about one sensor against the reference."""

    state: Literal["aligned", "misaligned", "unmeasurable"]
    reason: str
    frames: int
    measured: int
    corner_px: float | None
    """Displacement at the worst corner, in pixels; None where unmeasurable."""


class DifferenceRecord(Document):
    """One statistic of one sensor; `effect` is Cohen's d, batch less training, in pooled standard deviations."""

    sensor: str
    statistic: str
    effect: float


class DriftRecord(Document):
    """How far a batch lies from the training data; see alignment.drift.Drift."""

    auc: float | None
    effect: float | None
    drifted: bool
    reason: str
    frames: int
    training_frames: int
    strongest: tuple[DifferenceRecord, ...]


class BatchRecord(Document):
    """The verdict on one batch."""

    batch: str
    suite: str
    decision: _Decision
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    frames: VerdictFrames
    pairs: dict[str, PairRecord]
    by_measure: dict[str, int]
    """{measure: frames at fault}."""
    drift: DriftRecord | None


class ValidationRecord(Document):
    """The whole of artifacts/validation/verdict.json."""

    decision: _Decision
    frames: VerdictFrames
    batches: dict[str, BatchRecord]
