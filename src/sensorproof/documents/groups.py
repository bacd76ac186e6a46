"""The scores of one arm by class, site and condition, in mIoU points, with what they rest on."""

from sensorproof.documents.base import Document
from sensorproof.documents.statistic import Statistic


class GroupScores(Document):
    """One class (its IoU), or the frames of one site or condition (their mIoU)."""

    frames: int
    """That show the class or belong to the group."""
    pixels: int
    """Of the ground truth."""
    small: bool
    """Fewer frames than promotion.min_group_frames: too few to judge by."""
    mean: Statistic | None
    """Over the subsets; None if there is no pixel, or no frame for one of the subsets."""
    full: Statistic | None
    """With all sensors."""


class GroupTables(Document):
    """All groups. A class that is never present has 0 frames and no score."""

    classes: dict[str, GroupScores]
    sites: dict[str, GroupScores]
    conditions: dict[str, GroupScores]
    """The empty condition stands as `(none)`."""
