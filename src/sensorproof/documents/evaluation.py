"""artifacts/evaluation.json: the scores of every arm on the test split, and the candidate's gain over the baseline."""

from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from sensorproof.documents.base import Document
from sensorproof.settings.renamed import ARMS, KEYS

BASELINE = "baseline"
"""The arm that every gain is measured against."""
FIGURES = ("full", "mean", "worst")
"""The three figures of a model: all sensors, mean over the subsets, worst subset."""


class Statistic(Document):
    """Mean and sample standard deviation over the seeds; the deviation of one seed is 0."""

    mean: float
    std: float


class ArmSummary(Document):
    """The scores of one arm over its seeds, in mIoU points (0 to 100)."""

    seeds: tuple[int, ...]
    full: Statistic
    """With all sensors."""
    mean: Statistic
    """The unweighted mean over all non-empty subsets of the sensors."""
    worst: Statistic
    """Of the worst subset of each seed."""
    spread: Statistic
    """The standard deviation over the subsets."""
    subsets: dict[str, Statistic]
    """By subset: sorted sensor names joined by `+`."""
    per_class: dict[str, dict[str, float | None]]
    """{subset: {class: IoU}}; None for a class that the ground truth does not have."""
    support: dict[str, int]
    """{class: pixels in the ground truth}."""
    parameters: int
    train_seconds: float

    def figure(self, name: str) -> Statistic:
        """Return `full`, `mean`, `worst` or `spread`."""
        value: Statistic = getattr(self, name)
        return value


class Gain(Document):
    """A difference in points, paired by seed, with its interval; the ends are None where there is one seed."""

    value: float
    ci95: tuple[float | None, float | None]
    """The key keeps its name at other confidences, as readers expect it."""


class Gains(Document):
    """The candidate's gains over the baseline."""

    full: Gain
    mean: Gain
    worst: Gain

    def figure(self, name: str) -> Gain:
        """Return `full`, `mean` or `worst`."""
        value: Gain = getattr(self, name)
        return value


class FrameCounts(Document):
    """Frames per split that count, and frames in quarantine."""

    train: int
    val: int
    test: int
    quarantined: int


class DataSummary(Document):
    """The data that the figures speak of."""

    batches: tuple[str, ...]
    hash: str
    """DVC's hash of the raw data."""
    frames: FrameCounts
    classes: tuple[str, ...] = ()
    sensors: dict[str, str] = {}
    """{name: kind}."""


def _renamed(key: str) -> str:
    return KEYS.get(f"regularizer.{key}", key).removeprefix("regularizer.")


class SearchSummary(Document):
    """How many trials the search made, and the regulariser's settings that it chose."""

    trials: int
    best: dict[str, Any]

    @field_validator("best", mode="before")
    @classmethod
    def _rename(cls, value: Any) -> Any:
        """Read what earlier versions wrote."""
        if not isinstance(value, Mapping):
            return value
        return {_renamed(str(key)): item for key, item in value.items()}


class Evaluation(Document):
    """The whole of artifacts/evaluation.json."""

    data: DataSummary
    params_hash: str
    git_commit: str | None
    arms: dict[str, ArmSummary]
    gain: Gains
    search: SearchSummary

    @field_validator("arms", mode="before")
    @classmethod
    def _rename(cls, value: Any) -> Any:
        """Read what earlier versions wrote."""
        return {ARMS.get(arm, arm): scores for arm, scores in value.items()} if isinstance(value, Mapping) else value
