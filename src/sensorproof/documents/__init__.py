"""Typed documents that the stages write for one another: validated when they are read."""

from sensorproof.documents.base import Document
from sensorproof.documents.comparison import Comparison, Estimate, GroupGains, HoldoutRecord
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
)
from sensorproof.documents.fine_tuning import ChampionStart, FineTuning, RetrainingStart, SkippedArm
from sensorproof.documents.promotion import GateRecord, PromotionRecord, RegistryState, Summary
from sensorproof.documents.runs import (
    CANDIDATE,
    ComparedArm,
    RunScores,
    ScoredRun,
    Scores,
    TrainingRecord,
    TuningRun,
)
from sensorproof.documents.search import ArmSettings, SearchResult, Trial, ValidationScores
from sensorproof.documents.statistic import Statistic
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
    "ArmSettings",
    "ArmSummary",
    "BatchRecord",
    "ChampionStart",
    "ComparedArm",
    "Comparison",
    "DataSummary",
    "DifferenceRecord",
    "Document",
    "DriftRecord",
    "Estimate",
    "Evaluation",
    "FineTuning",
    "FrameCounts",
    "Gain",
    "Gains",
    "GateRecord",
    "GroupGains",
    "HoldoutRecord",
    "PairRecord",
    "PromotionRecord",
    "RegistryState",
    "RetrainingStart",
    "RunScores",
    "ScoredRun",
    "Scores",
    "SearchResult",
    "SearchSummary",
    "SkippedArm",
    "Statistic",
    "Summary",
    "TrainingRecord",
    "Trial",
    "TuningRun",
    "ValidationRecord",
    "ValidationScores",
    "VerdictFrames",
]
