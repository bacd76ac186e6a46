"""The rows of the page's table of silent failures."""

from collections.abc import Mapping
from dataclasses import dataclass

from sensorproof.documents.evaluation import ArmSummary
from sensorproof.documents.silent import SilentScores
from sensorproof.reporting.formatting import arm_title, points
from sensorproof.reporting.language import _, mark, ngettext

_TITLES = {
    "black": mark("black"),
    "bright": mark("over-exposed"),
    "noise": mark("noise"),
    "dark": mark("dark (contrast × 0.15)"),
    "frozen": mark("frozen on its first image"),
    "other_frame": mark("another scene's image"),
    "shifted": mark("moved by an eighth"),
    "half_lost": mark("lower half lost"),
}


def failure_title(kind: str) -> str:
    """Return the name of a silent failure for people."""
    title = _TITLES.get(kind)
    return kind.replace("_", " ") if title is None else _(title)


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
                SilentRow(failure_title(kind), own.kept, own.monitored, own.noticed, sensor.shortfall(kind) > 1)
                for kind, own in sensor.failures.items()
            ],
        )
        for name, sensor in scores.sensors.items()
    ]


def false_alarms(scores: SilentScores | None, most: int = 12) -> list[tuple[str, int, int]]:
    """List condition, false alarms and images, the most images first; the rest is taken together after `most`."""
    if scores is None:
        return []
    entries = sorted(scores.conditions.items(), key=lambda entry: -entry[1].images)
    rows = [(name, own.alarms, own.images) for name, own in entries[:most]]
    if rest := [own for _, own in entries[most:]]:
        others = ngettext("%(num)s more condition", "%(num)s more conditions", len(rest))
        rows.append((others, sum(own.alarms for own in rest), sum(own.images for own in rest)))
    return rows


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
            _(
                "the %(arm)s model up to %(believed)s points if it is believed, %(monitored)s with the monitor",
                arm=arm_title(name),
                believed=points(kept),
                monitored=points(watched),
            )
        )
    if costs:
        sentences.append(_("A sensor that fails without saying so costs %(costs)s.", costs="; ".join(costs)))
    if ours := known.get(candidate):
        alarms = ours.false_alarms
        sentences.append(
            _(
                "While all sensors are sound, the monitor leaves out %(alarms)s of %(images)s images; the score is "
                "%(monitored)s with it and %(full)s without.",
                alarms=alarms.alarms,
                images=alarms.images,
                monitored=points(ours.monitored),
                full=points(ours.full),
            )
        )
    return sentences
