"""artifacts/validation/verdict.json: the result of the validation of every batch."""

from collections.abc import Iterable
from typing import Literal, Self

from sensorproof.documents.base import Document

_Decision = Literal["accepted", "refused"]


class VerdictFrames(Document):
    """Number of frames in all, in quarantine, and at fault but released by a person."""

    total: int
    quarantined: int
    released: int


class PairRecord(Document):
    """The state of one sensor against the reference over a whole batch."""

    state: Literal["aligned", "misaligned", "unmeasurable"]
    reason: str
    frames: int
    """Frames that have both images."""
    measured: int
    """Frames that are measurable by themselves."""
    corner_px: float | None
    """Displacement of the worst corner that all frames share, in pixels; None if unmeasurable."""


class DifferenceRecord(Document):
    """One image statistic of one sensor that differs between a batch and the training data."""

    sensor: str
    statistic: str
    effect: float
    """Cohen's d: batch minus training data, in pooled standard deviations."""


class DriftRecord(Document):
    """How much a batch differs from the training data."""

    auc: float | None
    """Area under the curve of a classifier on held-out groups: 0.5 no difference, 1 all frames told apart. None if it
    could not be measured."""
    effect: float | None
    """Cohen's d of two normal distributions with the same area: 0.2 small, 0.5 medium, 0.8 large."""
    drifted: bool
    reason: str
    frames: int
    training_frames: int
    strongest: tuple[DifferenceRecord, ...]


class BatchRecord(Document):
    """The verdict on one batch."""

    batch: str
    suite: str
    """Name of the suite of rules: its version and a hash of the rules."""
    decision: _Decision
    reasons: tuple[str, ...]
    """Why the batch is refused; empty if it is not."""
    warnings: tuple[str, ...]
    frames: VerdictFrames
    pairs: dict[str, PairRecord]
    """{sensor: its state}."""
    by_measure: dict[str, int]
    """{measure: frames that are quarantined by it}."""
    drift: DriftRecord | None


class ValidationRecord(Document):
    """The whole of artifacts/validation/verdict.json."""

    decision: _Decision
    """Refused if any batch is."""
    frames: VerdictFrames
    """Of all batches."""
    batches: dict[str, BatchRecord]

    @classmethod
    def of(cls, batches: Iterable[BatchRecord]) -> Self:
        """Sum up the verdicts on all batches."""
        by_name = {record.batch: record for record in batches}
        counts = [record.frames for record in by_name.values()]
        return cls(
            decision="refused" if any(r.decision == "refused" for r in by_name.values()) else "accepted",
            frames=VerdictFrames(
                total=sum(c.total for c in counts),
                quarantined=sum(c.quarantined for c in counts),
                released=sum(c.released for c in counts),
            ),
            batches=by_name,
        )
