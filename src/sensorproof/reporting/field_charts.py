"""Drift, confidence and alarms over the ingested batches, placed on axes: for the page and for a picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sensorproof.documents.field import ChampionRecord, FieldRecord
from sensorproof.reporting.formatting import points, share
from sensorproof.reporting.training_curves import Tick

_SIDE = 1000
"""Side of a chart in its own units."""


@dataclass(frozen=True)
class Series:
    """One figure of each batch."""

    title: str
    values: list[float | None]
    """None where it was not measured."""
    limits: list[float | None]
    """What each value is to be compared with."""
    limit_title: str
    low: float
    high: float
    """Ends of the axis."""
    marked: list[bool]
    """Which values are on the wrong side."""
    text: Callable[[float | None], str]


@dataclass(frozen=True)
class Dot:
    """A value; `left` and `bottom` in per cent of the chart."""

    left: float
    bottom: float
    marked: bool
    title: str


@dataclass(frozen=True)
class Chart:
    """A figure over all batches, for dots and SVG polylines whose y grows downwards."""

    title: str
    limit_title: str
    dots: list[Dot]
    lines: list[str]
    """Of the values: one for each stretch without a gap."""
    limits: list[str]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def history_series(records: Sequence[FieldRecord], auc_limit: float) -> list[Series]:
    """Return the three figures that are drawn.

    Args:
        records: the oldest first.
        auc_limit: `validation.drift.auc`.
    """
    champions = [record.champion for record in records]
    drifts = [record.drift for record in records]
    confidences = _of(champions, lambda champion: champion.confidence)
    expected = _of(champions, lambda champion: champion.expected_confidence)
    alarms = _of(champions, lambda champion: champion.alarms)
    return [
        Series(
            "Drift from the training data, AUC",
            [drift.auc if drift else None for drift in drifts],
            [auc_limit] * len(records),
            "limit",
            0.0,
            1.0,
            [bool(drift and drift.drifted) for drift in drifts],
            lambda value: "–" if value is None else f"{value:.2f}",
        ),
        Series(
            "The champion's confidence, %",
            [None if value is None else 100 * value for value in confidences],
            [None if value is None else 100 * value for value in expected],
            "its own on the test split",
            0.0,
            100.0,
            [False] * len(records),
            points,
        ),
        Series(
            "Frames in which it finds a sensor failing, %",
            [None if value is None else 100 * value for value in alarms],
            [None] * len(records),
            "",
            0.0,
            100.0,
            [False] * len(records),
            lambda value: share(None if value is None else value / 100),
        ),
    ]


def _of(
    champions: Sequence[ChampionRecord | None], figure: Callable[[ChampionRecord], float | None]
) -> list[float | None]:
    return [None if champion is None else figure(champion) for champion in champions]


def place(series: Series, batches: Sequence[str]) -> Chart:
    """Place a figure on axes.

    Args:
        series: the figure.
        batches: names, as many as there are values.
    """
    count = len(batches)

    def left(k: int) -> float:
        return 50.0 if count == 1 else 4 + 92 * k / (count - 1)

    def bottom(value: float) -> float:
        return 100 * (value - series.low) / (series.high - series.low)

    def to_lines(values: Sequence[float | None]) -> list[str]:
        places = [
            None if v is None else f"{_SIDE * left(k) / 100:.0f},{_SIDE - 10 * bottom(v):.0f}"
            for k, v in enumerate(values)
        ]
        return [" ".join(stretch) for stretch in _stretches(places) if len(stretch) > 1]

    dots = [
        Dot(left(k), bottom(value), series.marked[k], f"{k + 1} {batches[k]}: {series.text(value)}")
        for k, value in enumerate(series.values)
        if value is not None
    ]
    step = max(1, -(-count // 12))
    x_ticks = [Tick(str(k + 1), left(k)) for k in range(0, count, step)]
    y_ticks = [Tick(f"{v:g}", bottom(v)) for v in (series.low, (series.low + series.high) / 2, series.high)]
    limits = to_lines(series.limits) if count > 1 else []
    return Chart(series.title, series.limit_title, dots, to_lines(series.values), limits, x_ticks, y_ticks)


def _stretches(places: Sequence[str | None]) -> list[list[str]]:
    """Split at the gaps."""
    stretches: list[list[str]] = [[]]
    for each in places:
        if each is None:
            stretches.append([])
        else:
            stretches[-1].append(each)
    return stretches
