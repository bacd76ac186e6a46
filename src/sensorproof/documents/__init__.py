"""Typed documents that the stages write for one another: validated when they are read."""

from sensorproof.documents.base import Document
from sensorproof.documents.evaluation import (
    BASELINE,
    FIGURES,
    FIGURES_AND_SPREAD,
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
from sensorproof.documents.runs import (
    CANDIDATE,
    ComparedArm,
    RunScores,
    ScoredRun,
    Scores,
    SearchResult,
    TrainingRecord,
    Trial,
    TuningRun,
)
from sensorproof.documents.validation import (
    BatchRecord,
    DifferenceRecord,
    DriftRecord,
    PairRecord,
    ValidationRecord,
    VerdictFrames,
)

__all__ = [
    "BASELINE",
    "CANDIDATE",
    "FIGURES",
    "FIGURES_AND_SPREAD",
    "ArmSummary",
    "BatchRecord",
    "ComparedArm",
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
    "ScoredRun",
    "Scores",
    "SearchResult",
    "SearchSummary",
    "Statistic",
    "Summary",
    "TrainingRecord",
    "Trial",
    "TuningRun",
    "ValidationRecord",
    "VerdictFrames",
]
