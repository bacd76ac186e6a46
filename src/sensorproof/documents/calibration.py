"""How far a model's confidence can be trusted, with every subset of its sensors; all values are 0 to 1."""

from sensorproof.documents.base import Document
from sensorproof.documents.statistic import Statistic


class CalibrationBin(Document):
    """The pixels whose confidence lies in one of the equal parts of 0 to 1."""

    share: float
    """Of all pixels."""
    confidence: float | None
    """Their mean; None where there is no pixel."""
    accuracy: float | None
    """Share of them that are right."""


class Calibration(Document):
    """One model with one subset of its sensors."""

    ece: float
    """Expected calibration error: |accuracy - confidence| of each bin, averaged over the pixels."""
    confidence: float
    """Mean over the pixels."""
    accuracy: float
    """Share of the pixels that are right."""
    bins: tuple[CalibrationBin, ...]
    """From the least confident to the most."""


class CalibrationSummary(Document):
    """The same over the seeds of an arm."""

    ece: Statistic
    confidence: Statistic
    accuracy: Statistic
    bins: tuple[CalibrationBin, ...]
    """Of the pixels of all seeds together."""
