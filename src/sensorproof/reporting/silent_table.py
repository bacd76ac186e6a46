"""The rows of the page's table of silent failures."""

from collections.abc import Mapping
from dataclasses import dataclass

from sensorproof.documents.evaluation import ArmSummary
from sensorproof.documents.silent import SilentScores
from sensorproof.reporting.formatting import arm_title, points

TITLES = {
    "black": "black",
    "bright": "over-exposed",
    "noise": "noise",
    "dark": "dark (contrast × 0.15)",
    "frozen": "frozen on its first image",
    "other_frame": "another scene's image",
    "shifted": "moved by an eighth",
    "half_lost": "lower half lost",
}


@dataclass(frozen=True)
class SilentRow:
    """One failure of one sensor; scores in points."""

    failure: str
    kept: float
    monitored: float
    noticed: float
    """Share of the images."""
    short: bool
    """More than a point below the better of declared absence and keeping the sensor."""


@dataclass(frozen=True)
class SilentGroup:
    """All failures of one sensor."""

    sensor: str
    absent: float
    rows: list[SilentRow]


def silent_groups(scores: SilentScores | None) -> list[SilentGroup]:
    """Make a group of rows for each sensor; none where silent failures were not tried."""
    if scores is None:
        return []
    return [
        SilentGroup(
            name,
            sensor.absent,
            [
                SilentRow(TITLES.get(kind, kind), own.kept, own.monitored, own.noticed, sensor.shortfall(kind) > 1)
                for kind, own in sensor.failures.items()
            ],
        )
        for name, sensor in scores.sensors.items()
    ]


def silent_sentences(arms: Mapping[str, ArmSummary], candidate: str) -> list[str]:
    """Say what the worst silent failure costs each arm, with and without the monitor, and what the monitor costs."""
    known = {name: arm.silent for name, arm in arms.items() if arm.silent is not None}
    sentences = []
    costs = []
    for name, silent in known.items():
        kept = max((silent.full - own.kept for s in silent.sensors.values() for own in s.failures.values()), default=0)
        watched = max(
            (silent.full - own.monitored for s in silent.sensors.values() for own in s.failures.values()), default=0
        )
        costs.append(
            f"the {arm_title(name)} model up to {points(kept)} points if it is believed, {points(watched)} with the "
            "monitor"
        )
    if costs:
        sentences.append(f"A sensor that fails without saying so costs {'; '.join(costs)}.")
    if ours := known.get(candidate):
        alarms = ours.false_alarms
        sentences.append(
            f"While all sensors are sound, the monitor leaves out {alarms.alarms} of {alarms.images} images; the score "
            f"is {points(ours.monitored)} with it and {points(ours.full)} without."
        )
    return sentences
