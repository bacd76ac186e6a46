"""Training histories -> lines in a unit square, and ticks for its axes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sensorproof.documents.history import STEP, read_history
from sensorproof.errors import SensorproofError

POINTS = 120
"""A line has at most this many; a longer history is averaged in as many stretches."""
_SCALE = 1000
"""Side of the drawing in its own units."""
_LOSS = "cross_entropy"

Series = tuple[list[float], list[float]]


@dataclass(frozen=True)
class _Line:
    """One run: `points` for an SVG polyline whose y grows downwards."""

    arm: str
    seed: int
    points: str


@dataclass(frozen=True)
class Tick:
    """`place` in per cent of the axis, from its origin."""

    text: str
    place: float


@dataclass(frozen=True)
class _Chart:
    lines: list[_Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def read_losses(path: Path) -> Series:
    """Read steps and cross-entropies of one training; rows without a finite value are left out.

    Raises:
        SensorproofError: the file is missing, is not a history, or has no cross-entropy at all.
    """
    rows = read_history(path)
    measured = [row for row in rows if _LOSS in row]
    if rows and not measured:
        raise SensorproofError(path, f"has no {_LOSS}", "run `dvc repro --force train`")
    finite = [row for row in measured if math.isfinite(row[_LOSS])]
    return [row[STEP] for row in finite], [row[_LOSS] for row in finite]


def thin(series: Series) -> Series:
    """Means of at most POINTS equal stretches."""
    steps, values = map(np.asarray, series)
    if len(steps) <= POINTS:
        return series
    parts = np.array_split(np.arange(len(steps)), POINTS)
    return [float(steps[p].mean()) for p in parts], [float(values[p].mean()) for p in parts]


def training_chart(histories: Mapping[tuple[str, int], Series]) -> _Chart:
    """All runs on common axes: from step 0 to the last, and from a loss of 0 to a round number above the highest.

    Args:
        histories: {(arm, seed): steps and losses}.
    """
    thinned = {run: thin(series) for run, series in histories.items()}
    right = max((x for steps, _ in thinned.values() for x in steps), default=1.0)
    top = max((y for _, losses in thinned.values() for y in losses), default=1.0)
    x_ticks, y_ticks = [x for x in axis(0, right) if x <= right], axis(0, top)
    top = y_ticks[-1]
    lines = [
        _Line(
            arm,
            seed,
            " ".join(f"{_SCALE * x / right:.0f},{_SCALE * (1 - y / top):.0f}" for x, y in zip(*series, strict=True)),
        )
        for (arm, seed), series in thinned.items()
    ]
    return _Chart(lines, to_ticks(x_ticks, 0, right), to_ticks(y_ticks, 0, top))


def axis(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    from matplotlib.ticker import MaxNLocator

    if not high > low:
        high = low + 1
    return [float(v) for v in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]


def to_ticks(values: Sequence[float], low: float, high: float) -> list[Tick]:
    """Ticks with their places; a minus sign is a minus sign."""
    return [Tick(f"{v:,.10g}".replace("-", "−"), 100 * (v - low) / (high - low)) for v in values]
