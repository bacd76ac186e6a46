"""The field's protocols and the degradation curves: rows of a table, and lines in small plots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sensorproof.documents.evaluation import ArmSummary
from sensorproof.documents.protocols import PARAMS, ProtocolScores
from sensorproof.documents.statistic import Statistic
from sensorproof.reporting.formatting import is_number, sensors_of
from sensorproof.reporting.language import _, mark
from sensorproof.reporting.tables import conditions

_SIDE: Final = 1000
"""Side of a small plot in its own units."""
_TITLES: Final = {
    "motion_blur": mark("motion blur"),
    "over_exposure": mark("over-exposure"),
    "under_exposure": mark("under-exposure"),
    "fog": mark("fog"),
    "low_resolution": mark("low resolution"),
    "stripes": mark("stripes"),
    "events_lost": mark("events lost"),
    "false_events": mark("false events"),
    "jitter": mark("jitter of the returns"),
    "returns_lost": mark("returns lost"),
    "frozen": mark("frozen for a while"),
    "delayed": mark("delayed"),
}
_LEVELS: Final = {"low": mark("low"), "mid": mark("medium"), "high": mark("high")}


def degradation_title(name: str) -> str:
    """Return the name of a degradation for people."""
    title = _TITLES.get(name)
    return name.replace("_", " ") if title is None else _(title)


@dataclass(frozen=True)
class ProtocolRow:
    """One figure of one protocol: a score for each arm, and the candidate's change against the first."""

    label: str
    scores: list[Statistic]
    change: float


@dataclass(frozen=True)
class ProtocolGroup:
    """The rows of one protocol."""

    title: str
    rows: list[ProtocolRow]


@dataclass(frozen=True)
class CurveLine:
    """One arm: places in the plot, for an SVG polyline whose y grows downwards, and the scores for a text."""

    arm: str
    points: str
    scores: list[float]


@dataclass(frozen=True)
class Curve:
    """One degradation of one sensor; `absent` is the height of the candidate's score without the sensor."""

    title: str
    lines: list[CurveLine]
    absent: float | None


@dataclass(frozen=True)
class SensorCurves:
    """All degradations of one sensor, on the axis `low` to `high` points, at severities from 0, the sound sensor."""

    sensor: str
    curves: list[Curve]
    low: int
    high: int
    severities: list[str]


def protocol_groups(arms: Mapping[str, ArmSummary], pair: Sequence[str]) -> list[ProtocolGroup]:
    """Make the rows of every protocol that all arms of the pair were tried with."""
    known = [own for name in pair if (own := arms[name].protocols) is not None]
    if not pair or len(known) < len(pair):
        return []
    return [group for group in _groups(known) if group.rows]


def _groups(known: list[ProtocolScores[Statistic]]) -> Iterator[ProtocolGroup]:
    yield ProtocolGroup(
        _("Missing sensors left out of the fusion"),
        [_row(_expected_label(p), [own.expected[p] for own in known]) for p in known[0].expected],
    )
    emm = [own.emm for own in known if own.emm is not None]
    if len(emm) == len(known):
        rows = [
            _row(_("mean"), [own.mean for own in emm]),
            _row(_("worst"), [own.worst for own in emm]),
            *(_row(_expected_label(p), [own.expected[p] for own in emm]) for p in emm[0].expected),
        ]
        yield ProtocolGroup(_("EMM: a missing sensor is all zeros"), rows)
    rmm = [own.rmm for own in known if own.rmm is not None]
    if len(rmm) == len(known):
        rows = [_row(_("mean, r = %(share)s", share=r), [own[r].mean for own in rmm]) for r in rmm[0]]
        yield ProtocolGroup(_("RMM: a missing sensor has a share r of zeros"), rows)
    noise = [own.nm for own in known if own.nm is not None]
    if len(noise) == len(known):
        rows = [_row(_(_LEVELS.get(level, level)), [own[level].all for own in noise]) for level in noise[0]]
        yield ProtocolGroup(_("NM: every sensor is noisy"), rows)


def _expected_label(probability: str) -> str:
    if probability == PARAMS:
        return _("expected, failures as in params.yaml")
    return _("expected, each fails with p = %(probability)s", probability=probability)


def _row(label: str, scores: list[Statistic]) -> ProtocolRow:
    return ProtocolRow(label, scores, scores[-1].mean - scores[0].mean)


def degradation_curves(arms: Mapping[str, ArmSummary], pair: Sequence[str]) -> list[SensorCurves]:
    """Place the curves of every sensor; none where an arm of the pair was not tried."""
    known = {name: own.degradations for name in pair if (own := arms[name].protocols) is not None and own.degradations}
    if not pair or len(known) < len(pair):
        return []
    every = [
        s.mean for own in known.values() for kinds in own.values() for curve in kinds.values() for s in curve.values()
    ]
    every += [arms[name].full.mean for name in pair]
    absent = {name: score for name, score in _absent(arms[pair[-1]]).items() if is_number(score)}
    known_values = [value for value in (*every, *absent.values()) if is_number(value)]
    low, high = int(min(known_values) // 10 * 10), int(-(-max(known_values) // 10) * 10)

    def height(score: float) -> float:
        return _SIDE * (high - score) / (high - low)

    def line(arm: str, sensor: str, kind: str) -> CurveLine:
        scores = [arms[arm].full.mean, *(s.mean for s in known[arm][sensor][kind].values())]
        step = _SIDE / max(1, len(scores) - 1)
        drawn = " ".join(f"{step * k:.0f},{height(score):.0f}" for k, score in enumerate(scores) if is_number(score))
        return CurveLine(arm, drawn, scores)

    result = []
    for sensor, kinds in known[pair[0]].items():
        floor = height(absent[sensor]) if sensor in absent else None
        curves = [Curve(degradation_title(kind), [line(arm, sensor, kind) for arm in pair], floor) for kind in kinds]
        severities = ["0", *next(iter(kinds.values()))]
        result.append(SensorCurves(sensor, curves, low, high, severities))
    return result


def _absent(arm: ArmSummary) -> dict[str, float]:
    """Return the score without each sensor."""
    sensors = sensors_of({"": arm})
    subsets = list(conditions(sensors).values())[1:]
    lost = {next(s for s in sensors if s not in subset): "+".join(subset) for subset in subsets}
    return {sensor: arm.subsets[name].mean for sensor, name in lost.items() if name in arm.subsets}
