"""Make the rows of the page's tables from an evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sensorproof.documents.evaluation import BASELINE, ArmSummary, Statistic
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.reporting.formatting import (
    arm_title,
    is_number,
    join,
    number_missing,
    points,
    sensors_of,
    signed,
    subset_label,
    without,
)
from sensorproof.reporting.language import _, mark
from sensorproof.reporting.palette import class_colors

FIGURES = {
    "full": mark("all sensors present"),
    "mean": mark("mean over all subsets"),
    "worst": mark("lowest of all subsets"),
    "spread": mark("standard deviation over subsets; lower is steadier"),
}
_Tone = Literal["better", "worse", ""]


@dataclass(frozen=True)
class _Cell:
    """A score in points, its standard deviation over seeds (None for one seed), and its distance to the baseline."""

    value: float | None
    std: float | None = None
    delta: float | None = None
    tone: _Tone = ""
    heat: float = 0.0
    """Place between the lowest (0) and the highest (1) score of the table."""
    weight: float = 0.0
    """Size of the difference, as a share of the largest of the table."""


@dataclass(frozen=True)
class _Row:
    """One line of a table: a cell per arm."""

    label: str
    cells: list[_Cell]
    present: tuple[bool, ...] = ()
    """Per sensor, by name, whether it is in the subset."""


@dataclass(frozen=True)
class Group:
    """Rows with as many sensors missing."""

    title: str
    rows: list[_Row]


@dataclass(frozen=True)
class _ClassRow:
    """IoU of one class: cells[condition][arm]; without support there is nothing to score."""

    name: str
    color: str
    support: int
    share: float
    cells: list[list[_Cell]]


def reference_arm(arms: Mapping[str, ArmSummary]) -> str:
    """Return the arm that the others are compared with."""
    return BASELINE if BASELINE in arms else next(iter(arms))


def _make_cell(arm: ArmSummary, score: Statistic | None, base: float | None, lower: bool = False) -> _Cell:
    """Make a cell without colours; `base` is the mean of the reference arm, None for that arm itself."""
    if score is None:
        return _Cell(None)
    std = score.std if len(arm.seeds) > 1 and is_number(score.std) else None
    return compared(score.mean if is_number(score.mean) else None, base, std, lower)


def compared(value: float | None, base: float | None, std: float | None = None, lower: bool = False) -> _Cell:
    """Make a cell with its difference; a difference that is 0 to one decimal has no tone."""
    if value is None or not is_number(base):
        return _Cell(value, std)
    delta = value - base
    tone: _Tone = "" if signed(delta) == "0.0" else "better" if (delta > 0) != lower else "worse"
    return _Cell(value, std, delta, tone)


def _colored(cells: Sequence[_Cell]) -> Iterable[_Cell]:
    """Return the same cells with heat and weight, by the range of them all."""
    values = [c.value for c in cells if c.value is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    largest = max((abs(c.delta) for c in cells if c.delta is not None), default=0.0)
    for c in cells:
        heat = (c.value - low) / (high - low) if c.value is not None and high > low else 0.0
        weight = abs(c.delta) / largest if c.delta is not None and largest > 0 else 0.0
        yield _Cell(c.value, c.std, c.delta, c.tone, heat, weight)


def score_rows(arms: Mapping[str, ArmSummary]) -> list[_Row]:
    """Make one row per arm: full, mean, worst and spread."""
    first = reference_arm(arms)
    base = {name: arms[first].figure(name).mean for name in FIGURES}
    return [
        _Row(
            arm_title(name),
            [_make_cell(arm, arm.figure(f), None if name == first else base[f], lower=f == "spread") for f in FIGURES],
        )
        for name, arm in arms.items()
    ]


def subset_groups(arms: Mapping[str, ArmSummary]) -> list[Group]:
    """Group the subsets by the number of missing sensors; within a group the reference arm's best comes first."""
    sensors = sensors_of(arms)
    first = reference_arm(arms)
    rows: dict[tuple[str, ...], list[_Cell]] = {}
    for subset in all_subsets(sensors):
        name = subset_name(subset)
        scores = {arm: summary.subsets.get(name) for arm, summary in arms.items()}
        reference = scores[first]
        base = None if reference is None else reference.mean
        rows[subset] = [_make_cell(arms[arm], s, None if arm == first else base) for arm, s in scores.items()]
    painted = iter(_colored([cell for cells in rows.values() for cell in cells]))
    whole = {subset: [next(painted) for _ in cells] for subset, cells in rows.items()}
    place = list(arms).index(first)
    groups = []
    for missing in range(len(sensors)):
        chosen = [subset for subset in whole if len(sensors) - len(subset) == missing]
        chosen.sort(key=lambda subset: -(whole[subset][place].value or 0.0))
        lines = [_Row(subset_label(s, sensors), whole[s], tuple(n in s for n in sensors)) for s in chosen]
        groups.append(Group(number_missing(missing), lines))
    return groups


def failure_sentence(arms: Mapping[str, ArmSummary]) -> str | None:
    """Say what losing one sensor costs each arm at most; None if there is only one sensor, or no score."""
    sensors = sensors_of(arms)
    costs = []
    for name, arm in arms.items():
        scores = {s: arm.subsets.get(subset_name(s)) for s in conditions(sensors).values()}
        known = {s: score.mean for s, score in scores.items() if score is not None and is_number(score.mean)}
        full = known.pop(tuple(sensors), None)
        if full is None or not known:
            return None
        low = min(known, key=lambda s: known[s])
        lost = next(s for s in sensors if s not in low)
        cost = full - known[low]
        title = arm_title(name)
        if cost >= 0.05:
            text = _(
                "the %(arm)s model at most %(points)s points (%(subset)s)",
                arm=title,
                points=points(cost),
                subset=without(lost),
            )
        else:
            text = _("the %(arm)s model nothing", arm=title)
        costs.append(text)
    return _("Losing one sensor costs %(costs)s.", costs=join(costs))


def conditions(sensors: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return {label: subset}: all sensors, then each single one missing where others are left."""
    whole = tuple(sorted(sensors))
    labels = {_("all sensors"): whole}
    if len(whole) > 1:
        labels |= {without(lost): tuple(s for s in whole if s != lost) for lost in whole}
    return labels


def class_rows(arms: Mapping[str, ArmSummary]) -> list[_ClassRow]:
    """Make a row per class: its IoU with all sensors and with each single one missing."""
    first = reference_arm(arms)
    support = arms[first].support
    total = sum(support.values())
    subsets = [subset_name(s) for s in conditions(sensors_of(arms)).values()]
    colors = class_colors(list(support))

    def iou(arm: str, subset: str, name: str) -> float | None:
        value = arms[arm].per_class.get(subset, {}).get(name)
        return value if is_number(value) else None

    cells = {
        (name, subset, arm): compared(iou(arm, subset, name), None if arm == first else iou(first, subset, name))
        for name in support
        for subset in subsets
        for arm in arms
    }
    painted = dict(zip(cells, _colored(list(cells.values())), strict=True))
    return [
        _ClassRow(
            name,
            color,
            pixels,
            pixels / total if total else 0.0,
            [[painted[name, subset, arm] for arm in arms] for subset in subsets],
        )
        for (name, pixels), color in zip(support.items(), colors, strict=True)
    ]
