"""artifacts/evaluation.json: the scores of every arm on the test split, and the candidate's gain over the baseline."""

from pathlib import Path
from typing import Any, Final, Self

from pydantic import Field

from sensorproof.documents.base import Document
from sensorproof.documents.calibration import CalibrationSummary
from sensorproof.documents.comparison import Comparison, Estimate
from sensorproof.documents.contributions import Contributions
from sensorproof.documents.fine_tuning import FineTuning
from sensorproof.documents.groups import GroupTables
from sensorproof.documents.optional import OmitsNone
from sensorproof.documents.protocols import ProtocolScores
from sensorproof.documents.silent import SilentScores
from sensorproof.documents.statistic import Statistic as Statistic
from sensorproof.settings.renamed import ARMS, KEYS

BASELINE: Final = "baseline"
"""The arm that every gain is measured against."""
FIGURES = ("full", "mean", "worst")
"""The three figures of a model: all sensors, mean over the subsets, worst subset."""
FIGURES_AND_SPREAD = (*FIGURES, "spread")
"""The figures, and the standard deviation over the subsets."""


class ArmSummary(OmitsNone):
    """The scores of one arm over its seeds, in mIoU points (0 to 100).

    The parts from `silent` on are None where they were not measured, as in documents of earlier versions.
    """

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
    """Mean over the seeds."""
    silent: SilentScores | None = None
    """Sensors that fail without saying so; means over the seeds."""
    calibration: dict[str, CalibrationSummary] | None = None
    """By subset."""
    contributions: Contributions | None = None
    protocols: ProtocolScores[Statistic] | None = None
    groups: GroupTables | None = None

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
    """The gains of one arm over another."""

    full: Gain
    mean: Gain
    worst: Gain

    def figure(self, name: str) -> Gain:
        """Return `full`, `mean` or `worst`."""
        value: Gain = getattr(self, name)
        return value


class FrameCounts(Document):
    """Usable frames per split, and frames in quarantine."""

    train: int
    val: int
    test: int
    quarantined: int


class DataSummary(Document):
    """The data behind the figures."""

    batches: tuple[str, ...]
    hash: str
    """DVC's hash of the raw data."""
    frames: FrameCounts
    classes: tuple[str, ...] = ()
    sensors: dict[str, str] = Field(default_factory=dict)
    """{name: kind}."""
    trained_on: tuple[str, ...] = ()
    """The sequences of the training split, as site/sequence; evaluations of earlier versions have none."""


class SearchSummary(Document):
    """How many trials the search made, and the regulariser's settings that it chose."""

    trials: int
    best: dict[str, Any]
    """Open to other keys: evaluations of earlier versions in the registry have settings that no longer exist."""


class SpecialistReference(Document):
    """A plain model for every subset, trained on that subset's sensors alone: how much there is to win."""

    mean: Statistic
    """Over the subsets, each scored by its own specialist."""
    worst: Statistic
    subsets: dict[str, Statistic]
    shares: dict[str, Estimate]
    """{arm: share of the distance in the mean from the baseline (0) to the specialists (1)}."""
    parameters: int
    """Of all specialists together."""
    train_seconds: float
    """Of all together; mean over the seeds."""


class Evaluation(OmitsNone):
    """The whole of artifacts/evaluation.json."""

    data: DataSummary
    params_hash: str
    git_commit: str | None
    arms: dict[str, ArmSummary]
    gain: Gains | None = None
    """Of the candidate over the baseline; None if it was fine-tuned, without a baseline."""
    search: SearchSummary
    comparison: Comparison | None = None
    """Of the candidate with the baseline, frame by frame; evaluations of earlier versions have none."""
    specialists: SpecialistReference | None = None
    """None unless `evaluate.specialists` asks for them."""
    fine_tuning: FineTuning | None = None
    """None where every arm was trained from scratch."""

    @property
    def gains(self) -> dict[str, Gain]:
        """{figure: gain}; empty where there is no baseline."""
        return {} if self.gain is None else {figure: self.gain.figure(figure) for figure in FIGURES}

    @classmethod
    def parse(cls, document: Any, where: str | Path) -> Self:
        """Validate a document that has already been read; names from earlier versions are replaced by present ones.

        Args:
            document: plain values, as read from JSON.
            where: the file or artifact it comes from, for the message.

        Raises:
            SensorproofError: a key is missing, unknown or of another type.
        """
        return super().parse(_rename(document), where)


def _rename(document: Any) -> Any:
    """Replace the names of arms and settings that earlier versions wrote; what has another form stays as it is."""
    if not isinstance(document, dict):
        return document
    renamed = dict(document)
    if isinstance(arms := document.get("arms"), dict):
        renamed["arms"] = {ARMS.get(arm, arm): scores for arm, scores in arms.items()}
    search = document.get("search")
    if isinstance(search, dict) and isinstance(best := search.get("best"), dict):
        renamed["search"] = {**search, "best": {_rename_setting(key): value for key, value in best.items()}}
    return renamed


def _rename_setting(key: str) -> str:
    """Return the present name of one of the regulariser's settings."""
    return KEYS.get(f"regularizer.{key}", key).removeprefix("regularizer.")
