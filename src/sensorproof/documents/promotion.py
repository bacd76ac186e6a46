"""artifacts/summary.json: the evaluation, and what promotion decided."""

from typing import Literal

from sensorproof.documents.base import Document
from sensorproof.documents.evaluation import Evaluation


class GateRecord(Document):
    """One gate; `value` is None where it could not be measured, which fails."""

    name: str
    value: float | None
    threshold: float
    passed: bool


class PromotionRecord(Document):
    """The decision on a candidate; `version` is None where there was no model to register."""

    decision: Literal["promoted", "refused"]
    model: str
    version: int | None
    gates: tuple[GateRecord, ...]
    reasons: tuple[str, ...]


class Summary(Evaluation):
    """The whole of artifacts/summary.json."""

    promotion: PromotionRecord
