"""artifacts/summary.json: the evaluation, and the decision on the candidate."""

from typing import Literal, Self

from sensorproof.documents.base import Document
from sensorproof.documents.evaluation import Evaluation

COMPLETE = "complete"
"""Gate: every score is there and finite; its value is the number of faults."""
GAIN_MEAN = "gain_mean"
"""Gate: the lower end of the interval of the gain in mean mIoU."""
LOSS_FULL = "loss_full"
"""Gate: the loss with all sensors against the baseline."""
LOSS_CHAMPION = "loss_champion"
"""Gate: the loss in mean mIoU against the champion."""


class GateRecord(Document):
    """One gate; `value` is None where it could not be measured, which fails."""

    name: str
    value: float | None
    threshold: float
    passed: bool


class PromotionRecord(Document):
    """The decision on a candidate; `version` is None where there was no model to register."""

    decision: Literal["promoted", "refused", "waiting"]
    """`waiting`: all gates passed, and a person has to approve it."""
    model: str
    version: int | None
    gates: tuple[GateRecord, ...]
    reasons: tuple[str, ...]
    """One a gate that failed, with the gate's name; empty where the candidate was promoted."""


class RegistryState(Document):
    """artifacts/registry.json: how often the registry was found without the version that summary.json names."""

    losses: int


class Summary(Evaluation):
    """The whole of artifacts/summary.json."""

    promotion: PromotionRecord

    @classmethod
    def combine(cls, evaluation: Evaluation, promotion: PromotionRecord) -> Self:
        """Add the decision to the evaluation."""
        return cls(**dict(evaluation), promotion=promotion)
