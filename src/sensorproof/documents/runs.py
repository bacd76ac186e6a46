"""What the stages train and evaluate, and `sensorproof compare`, write about single trainings."""

from typing import Final

from sensorproof.documents.base import Document
from sensorproof.documents.calibration import Calibration
from sensorproof.documents.comparison import Estimate
from sensorproof.documents.contributions import SensorInformation
from sensorproof.documents.evaluation import ArmSummary, Gains
from sensorproof.documents.optional import OmitsNone
from sensorproof.documents.protocols import ProtocolScores
from sensorproof.documents.silent import SilentScores
from sensorproof.settings import RegularizerSettings

CANDIDATE: Final = "regularized_dropout"
"""The arm whose gain over each of the others `sensorproof compare` gives."""


class Scores(Document):
    """The scores of one model on one split, in mIoU points; see ArmSummary for the fields."""

    full: float
    mean: float
    worst: float
    spread: float
    subsets: dict[str, float]
    per_class: dict[str, dict[str, float | None]]
    support: dict[str, int]

    def figure(self, name: str) -> float:
        """Return `full`, `mean`, `worst` or `spread`."""
        value: float = getattr(self, name)
        return value


class TrainingRecord(Document):
    """artifacts/train/<arm>/<seed>/train.json: how a training went, and its scores on the validation split."""

    arm: str
    seed: int
    regularizer: RegularizerSettings
    train_seconds: float
    parameters: int
    val: Scores


class ScoredRun(OmitsNone, Scores):
    """The scores of one training on the test split, with what the training cost; what was not measured is None."""

    arm: str
    seed: int
    train_seconds: float
    parameters: int
    silent: SilentScores | None = None
    calibration: dict[str, Calibration] | None = None
    """By subset."""
    information: dict[str, SensorInformation] | None = None
    """By sensor."""
    protocols: ProtocolScores[float] | None = None


class RunScores(ScoredRun):
    """artifacts/evaluate/<arm>-<seed>.json."""

    validation_mean: float
    """Mean over the subsets on the validation split: the best seed is chosen by it."""
    model_sha256: str
    """Hash of the model folder that was scored."""


class TuningRun(Document):
    """artifacts/compare/<data set>/runs/<arm>-<seed>-<key>-0.json: a training that tries one strength."""

    arm: str
    seed: int
    selection_score: float
    """The mean of `full` and `mean` on the validation split, in points: strengths are chosen by it."""


class ComparedArm(ArmSummary):
    """One arm of one data set in the JSON of `sensorproof compare`."""

    strength: float
    gain: Gains
    """Of the arm over the baseline."""
    gain_of_candidate: Gains
    """Of CANDIDATE over the arm."""
    share: Estimate | None = None
    """Of the distance in the mean from the baseline (0) to the specialists (1), where those were trained."""
