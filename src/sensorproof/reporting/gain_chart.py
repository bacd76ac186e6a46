"""Place the gains and their intervals on an axis."""

from collections.abc import Mapping
from dataclasses import dataclass

from sensorproof.documents.evaluation import Gain
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


def gain_chart(gains: Mapping[str, Gain]) -> _GainChart | None:
    """Place all gains on one axis that includes 0; None if no gain is finite."""
    known = {figure: gain for figure, gain in gains.items() if is_number(gain.value)}
    if not known:
        return None
    ends = {figure: _interval_of(gain) for figure, gain in known.items()}
    values = [0.0, *(gain.value for gain in known.values()), *(e for pair in ends.values() if pair for e in pair)]
    ticks = axis(min(values), max(values))
    first, last = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return 100 * (value - first) / (last - first)

    lines = []
    for figure, gain in known.items():
        value = gain.value
        low, high = ends[figure] or (None, None)
        start, end = (place(value if e is None else e) for e in (low, high))
        lines.append(_GainLine(figure, value, low, high, place(value), start, end))
    return _GainChart(lines, to_ticks(ticks, first, last), place(0.0))


def _interval_of(gain: Gain) -> tuple[float, float] | None:
    """Return both ends if they are finite, else None."""
    low, high = gain.ci95
    return (low, high) if is_number(low) and is_number(high) else None
