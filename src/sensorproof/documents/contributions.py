"""What each sensor contributes to a model, in mIoU points and by the regulariser's own measures."""

from sensorproof.documents.base import Document
from sensorproof.documents.comparison import Estimate
from sensorproof.documents.optional import OmitsNone
from sensorproof.documents.statistic import Statistic


class SensorInformation(Document):
    """What one sensor tells one model, measured on its prediction from that sensor alone."""

    information: float
    """Functional Fisher information sigma^2 E[|grad f|^2 / f], f the cross-entropy; what the regulariser spreads."""
    relevance: float
    """Share of the uncertainty about the label that the sensor's own image removes, 0 to 1."""


class SensorContribution(OmitsNone):
    """One sensor of one arm."""

    shapley: Estimate
    """Shapley value over the scores of all subsets, in points: its mean share in what the sensors add together."""
    change: Estimate | None = None
    """Less that in the baseline, paired by seed and frame; None for the baseline itself."""
    information: Statistic | None = None
    relevance: Statistic | None = None


class Contributions(Document):
    """All sensors of one arm. The values, and `empty`, add up to the score with all sensors."""

    empty: float
    """Score without any sensor: of naming the most frequent class everywhere."""
    sensors: dict[str, SensorContribution]
