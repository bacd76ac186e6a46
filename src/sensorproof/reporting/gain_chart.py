"""The gain with its interval, placed on an axis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensorproof.reporting.formatting import is_number
from sensorproof.reporting.training_curves import Tick, axis, to_ticks


@dataclass(frozen=True)
class _GainLine:
    """A gain in points and its interval; places in per cent of the axis. `low` is None where there is no interval."""

    figure: str
    value: float
    low: float | None
    high: float | None
    place: float
    start: float
    end: float


@dataclass(frozen=True)
class _GainChart:
    lines: list[_GainLine]
    ticks: list[Tick]
    zero: float


def gain_chart(gain: Mapping[str, Any]) -> _GainChart | None:
    """The `gain` object drawn to one scale that has 0 on it; None where there is no finite gain."""
    known = {figure: each for figure, each in gain.items() if is_number((each or {}).get("value"))}
    if not known:
        return None
    ends = {figure: _interval_of(each) for figure, each in known.items()}
    every = [0.0, *(each["value"] for each in known.values()), *(e for pair in ends.values() if pair for e in pair)]
    ticks = axis(min(every), max(every))
    first, last = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return 100 * (value - first) / (last - first)

    lines = []
    for figure, each in known.items():
        value = each["value"]
        low, high = ends[figure] or (None, None)
        start, end = (place(value if e is None else e) for e in (low, high))
        lines.append(_GainLine(figure, value, low, high, place(value), start, end))
    return _GainChart(lines, to_ticks(ticks, first, last), place(0.0))


def _interval_of(each: Mapping[str, Any]) -> tuple[float, float] | None:
    """Both ends, or None."""
    low, high = each.get("ci95") or (None, None)
    return (low, high) if is_number(low) and is_number(high) else None
