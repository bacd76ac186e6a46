"""The rows of the page's table of contributions: what each sensor adds, before and after."""

from collections.abc import Mapping
from dataclasses import dataclass

from sensorproof.documents.contributions import SensorContribution
from sensorproof.documents.evaluation import BASELINE, ArmSummary
from sensorproof.reporting.formatting import is_number, points, span
from sensorproof.reporting.language import _


@dataclass(frozen=True)
class ContributionCell:
    """One sensor in one arm: its Shapley value in points, its place on the axis in per cent, and its information."""

    shapley: float
    start: float
    end: float
    information: float | None
    """Share of the information of all sensors, 0 to 1; None where it was not measured."""


@dataclass(frozen=True)
class ContributionRow:
    """One sensor; `change` is that of the candidate against the baseline, with its interval in words."""

    sensor: str
    cells: list[ContributionCell]
    change: float | None
    ends: str


def contribution_rows(arms: Mapping[str, ArmSummary], candidate: str) -> list[ContributionRow]:
    """Make a row for each sensor, with a cell for baseline and candidate; none where they were not measured."""
    pair = [name for name in dict.fromkeys((BASELINE, candidate)) if name in arms]
    known = {name: arms[name].contributions for name in pair}
    if not pair or any(own is None for own in known.values()):
        return []
    sensors = {name: own.sensors for name, own in known.items() if own is not None}
    values = [own.shapley.value for each in sensors.values() for own in each.values() if is_number(own.shapley.value)]
    low, high = min(0.0, *values), max(1e-9, *values)

    def cell(arm: str, sensor: str) -> ContributionCell:
        own, total = sensors[arm][sensor], _information(sensors[arm])
        ends = sorted((100 * (0 - low) / (high - low), 100 * (own.shapley.value - low) / (high - low)))
        information = own.information.mean / total if own.information is not None and total else None
        return ContributionCell(own.shapley.value, ends[0], ends[1], information)

    rows = []
    for sensor in sensors[pair[0]]:
        change = sensors[candidate][sensor].change if candidate in sensors else None
        first, last = (None, None) if change is None else change.interval
        ends = span(first, last) if first is not None else ""
        cells = [cell(arm, sensor) for arm in pair]
        rows.append(ContributionRow(sensor, cells, None if change is None else change.value, ends))
    return rows


def contribution_sentence(arms: Mapping[str, ArmSummary], candidate: str) -> str | None:
    """Say how unequally the sensors contribute, before and after: the largest share less the smallest."""
    spans = []
    for name in dict.fromkeys((BASELINE, candidate)):
        own = arms[name].contributions if name in arms else None
        if own is None or len(own.sensors) < 2:
            return None
        values = {sensor: each.shapley.value for sensor, each in own.sensors.items()}
        most, least = max(values, key=lambda s: values[s]), min(values, key=lambda s: values[s])
        spans.append((most, values[most], least, values[least]))
    if len(spans) < 2:
        return None
    (most, much, least, little), (most_after, much_after, least_after, little_after) = spans
    return _(
        "In the baseline, %(most)s adds %(much)s points and %(least)s %(little)s; in the candidate, %(most_after)s "
        "adds %(much_after)s and %(least_after)s %(little_after)s.",
        most=most,
        much=points(much),
        least=least,
        little=points(little),
        most_after=most_after,
        much_after=points(much_after),
        least_after=least_after,
        little_after=points(little_after),
    )


def _information(sensors: Mapping[str, SensorContribution]) -> float:
    """Return the information of all sensors together; 0 where it was not measured."""
    return sum(own.information.mean for own in sensors.values() if own.information is not None)
