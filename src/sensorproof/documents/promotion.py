"""artifacts/summary.json: the evaluation, and the decision on the candidate."""

from typing import Any, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer

from sensorproof.documents.base import Document
from sensorproof.documents.comparison import HoldoutRecord
from sensorproof.documents.evaluation import Evaluation

COMPLETE = "complete"
"""Gate: every score is there and finite; its value is the number of faults."""
GAIN_BASELINE = "gain_baseline"
"""Gate: the lower end of the interval of the gain over the baseline, in the mean over the subsets."""
GAIN_CHAMPION = "gain_champion"
"""Gate: the same over the champion."""
LOSS_FULL = "loss_full"
"""Gate: the loss with all sensors, against the champion, or the baseline for the first model."""
WORST_SUBSET = "worst_subset"
"""Gate: the score with the worst subset."""
CLASS_LOSS, SITE_LOSS, CONDITION_LOSS = "class_loss", "site_loss", "condition_loss"
"""Gates: the largest loss of a class, a site and a condition, in the mean over the subsets."""
SILENT_LOSS = "silent_loss"
"""Gate: the loss against the baseline while a sensor fails silently, averaged over sensors and failures."""
FALSE_ALARMS = "false_alarms"
"""Gate: the share of the images of sound sensors that the monitor leaves out."""
INFERENCE_TIME = "inference_time"
"""Gate: the time for one frame, as a multiple of the champion's."""
PARAMETERS = "parameters"
"""Gate: the number of parameters, as a multiple of the champion's."""
DATA = "data"
"""Gate: the data are the present ones, and no hash is broken; its value is the number of faults."""
GATES = (
    COMPLETE,
    GAIN_BASELINE,
    GAIN_CHAMPION,
    LOSS_FULL,
    WORST_SUBSET,
    CLASS_LOSS,
    SITE_LOSS,
    CONDITION_LOSS,
    SILENT_LOSS,
    FALSE_ALARMS,
    INFERENCE_TIME,
    PARAMETERS,
    DATA,
)
"""All gates, in the order in which they are reported."""
OF_SILENT_FAILURES = (SILENT_LOSS, FALSE_ALARMS)
"""Those of evaluations that tried silent failures; earlier versions did not."""
AGAINST_CHAMPION = (GAIN_CHAMPION, INFERENCE_TIME, PARAMETERS)
"""Those that the first model does not have."""


class GateRecord(Document):
    """One gate; `value` is None where it could not be measured, which fails."""

    name: str
    value: float | None
    """What is compared with the threshold."""
    threshold: float
    passed: bool
    interval: tuple[float, float] | None = None
    """Of the gain, loss, score or ratio; None where there is none, and in records of earlier versions."""
    note: str = ""
    """What was measured: which group lost most, which groups were too small to be judged."""


def describe_gate(gate: GateRecord) -> str:
    """Describe a gate in a line: value, interval, threshold and note.

    Examples:
        >>> gate = GateRecord(name="loss_full", value=0.5, threshold=1.0, passed=True, interval=(-0.1, 1.1))
        >>> describe_gate(gate)
        'loss_full 0.50 (interval -0.10 to 1.10, threshold 1)'
    """
    value = "not measured" if gate.value is None else f"{gate.value:.2f}"
    ends = "" if gate.interval is None else "interval {:.2f} to {:.2f}, ".format(*gate.interval)
    note = f"; {gate.note}" if gate.note else ""
    return f"{gate.name} {value} ({ends}threshold {gate.threshold:g}{note})"


class PromotionRecord(Document):
    """The decision on a candidate; `version` is None where there was no model to register."""

    decision: Literal["promoted", "refused", "waiting"]
    """`waiting`: all gates passed, and a person has to approve it."""
    model: str
    version: int | None
    gates: tuple[GateRecord, ...]
    reasons: tuple[str, ...]
    """One a gate that failed, with the gate's name; empty where the candidate was promoted."""
    holdout: HoldoutRecord | None = None
    """The frames that the candidate and the champion were both scored on."""
    skipped: tuple[str, ...] = ()
    """What was not compared, and why; left out where nothing was skipped."""

    @model_serializer(mode="wrap")
    def _omit_nothing_skipped(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        if not self.skipped:
            del document["skipped"]
        return document


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
