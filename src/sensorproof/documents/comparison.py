"""How one side (the candidate) compares with another (the baseline, the champion) on the same test frames."""

from typing import Literal

from sensorproof.documents.base import Document


class Estimate(Document):
    """A figure or a difference in points, or a ratio, with its interval; the ends are None where there is none."""

    value: float
    interval: tuple[float | None, float | None]

    def negated(self) -> "Estimate":
        """Return the estimate with the other sign: of a gain, the loss."""
        low, high = self.interval
        ends = None if high is None else -high, None if low is None else -low
        return Estimate(value=-self.value, interval=ends)


class HoldoutRecord(Document):
    """The frames that both sides are scored on: the labelled test frames that are in use."""

    hash: str
    """SHA-256 over ids, sensors present, prepared pixels and labels; see `data.holdout`."""
    frames: int


class GroupGains(Document):
    """The gain in the mean over the subsets, for each class, site or condition."""

    gains: dict[str, Estimate]
    """Those with enough frames, and OTHERS."""
    small: tuple[str, ...]
    """Those with fewer frames than promotion.min_group_frames. They are judged together, as OTHERS, if all of them
    have enough; small classes are not judged."""


OTHERS = "(others)"
"""The sites or conditions with few frames, taken together."""


class Comparison(Document):
    """Our scores, and ours minus theirs, on the hold-out."""

    holdout: HoldoutRecord
    units: Literal["frames", "sequences"]
    """What the bootstrap drew."""
    drawn: int
    """How many of them there are."""
    mean: Estimate
    """Gain in the mean over the subsets."""
    full: Estimate
    """Gain with all sensors."""
    worst: Estimate
    """Not a gain: our score with our worst subset."""
    classes: GroupGains
    sites: GroupGains
    conditions: GroupGains
