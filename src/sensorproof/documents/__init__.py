"""Typed documents that the stages write for one another: validated when they are read."""

from sensorproof.documents.base import Document
from sensorproof.documents.evaluation import (
    ArmSummary,
    DataSummary,
    Evaluation,
    FrameCounts,
    Gain,
    Gains,
    SearchSummary,
    Statistic,
)
from sensorproof.documents.promotion import GateRecord, PromotionRecord, Summary
from sensorproof.documents.runs import RunScores, Scores, SearchResult, TrainingRecord, Trial
from sensorproof.documents.validation import (
    BatchRecord,
    DifferenceRecord,
    DriftRecord,
    PairRecord,
    ValidationRecord,
    VerdictFrames,
)

__all__ = [
    "ArmSummary",
    "BatchRecord",
    "DataSummary",
    "DifferenceRecord",
    "Document",
    "DriftRecord",
    "Evaluation",
    "FrameCounts",
    "Gain",
    "Gains",
    "GateRecord",
    "PairRecord",
    "PromotionRecord",
    "RunScores",
    "Scores",
    "SearchResult",
    "SearchSummary",
    "Statistic",
    "Summary",
    "TrainingRecord",
    "Trial",
    "ValidationRecord",
    "VerdictFrames",
]
