"""What the stages search, train and evaluate leave of single trainings."""

from sensorproof.documents.base import Document
from sensorproof.settings import RegularizerSettings, Scales


class Trial(Document):
    """One trial of the search; `score` is None where it failed."""

    number: int
    strength: float
    scales: Scales
    score: float | None


class SearchResult(Document):
    """artifacts/search/trials.json."""

    trials: tuple[Trial, ...]
    best: RegularizerSettings


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
    """artifacts/train/<arm>-<seed>/train.json: how a training went, and its scores on the validation split."""

    arm: str
    seed: int
    regularizer: RegularizerSettings
    train_seconds: float
    parameters: int
    val: Scores


class RunScores(Scores):
    """artifacts/evaluate/<arm>-<seed>.json: the scores of one training on the test split."""

    arm: str
    seed: int
    train_seconds: float
    parameters: int
    validation_mean: float
    """Mean over the subsets on the validation split: by it the best seed is chosen."""
    model_sha256: str
    """Hash of the model folder that was scored."""
