"""The history of the field as a page and as a picture."""

import io
from collections.abc import Sequence
from pathlib import Path

from sensorproof.documents.field import FieldRecord, RetrainingDecision
from sensorproof.documents.validation import DifferenceRecord
from sensorproof.files import atomic_file, write_text
from sensorproof.reporting.environment import environment
from sensorproof.reporting.field_charts import history_series, place
from sensorproof.reporting.figure import LINE, OURS, SOFT, THEIRS
from sensorproof.reporting.formatting import signed

PAGE, PICTURE = "index.html", "history.png"
"""The files in the folder of the history."""
_WIDTH = 8.0
"""Inches."""
_MOST_NAMES = 24
"""More batches than these are not all named in the picture."""


def write_field_history(
    folder: Path, records: Sequence[FieldRecord], decision: RetrainingDecision, auc_limit: float
) -> None:
    """Write the page and the picture, each atomically.

    Args:
        folder: is made where it is missing.
        records: of all batches, the oldest first.
        decision: whether to retrain now.
        auc_limit: `validation.drift.auc`.
    """
    write_text(folder / PAGE, render_field_history(records, decision, auc_limit))
    if records:
        picture = _draw(records, auc_limit)
        with atomic_file(folder / PICTURE) as temporary:
            temporary.write_bytes(picture)


def render_field_history(records: Sequence[FieldRecord], decision: RetrainingDecision, auc_limit: float) -> str:
    """Return the page: self-contained, without scripts."""
    names = [record.batch for record in records]
    return str(
        environment()
        .get_template("field.html")
        .render(
            records=list(records),
            decision=decision,
            state="unproven" if decision.retrain else "yes",
            title=_title(records, decision),
            drifted=sum(bool(record.drift and record.drift.drifted) for record in records),
            latest=next((record.champion for record in reversed(records) if record.champion), None),
            charts=[place(series, names) for series in history_series(records, auc_limit)] if records else [],
            difference=describe_difference,
        )
    )


def describe_difference(difference: DifferenceRecord | None) -> str:
    """Describe the statistic that differs most: `thermal mean +3.1 sd`."""
    return f"{difference.sensor} {difference.statistic} {signed(difference.effect)} sd" if difference else "–"


def _title(records: Sequence[FieldRecord], decision: RetrainingDecision) -> str:
    """Return the decision as a headline."""
    if not records:
        return "No batch has been ingested yet"
    return "A retraining is due" if decision.retrain else "No retraining is due"


def _draw(records: Sequence[FieldRecord], auc_limit: float) -> bytes:
    """Draw the three figures over the batches as a PNG on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, 6.0), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    plots = figure.subplots(3, 1, sharex=True)
    numbers = range(1, len(records) + 1)
    for axes, series in zip(plots, history_series(records, auc_limit), strict=True):
        if any(limit is not None for limit in series.limits):
            limits = [float("nan") if limit is None else limit for limit in series.limits]
            axes.plot(numbers, limits, "--", color=SOFT, linewidth=1.2, label=series.limit_title)
            axes.legend(fontsize=7, loc="best", edgecolor=LINE)
        values = [float("nan") if value is None else value for value in series.values]
        axes.plot(numbers, values, "o-", color=OURS, linewidth=1.6, markersize=5)
        marked = [(n, v) for n, v, mark in zip(numbers, values, series.marked, strict=True) if mark]
        axes.plot([n for n, _ in marked], [v for _, v in marked], "o", color=THEIRS, markersize=8)
        margin = 0.04 * (series.high - series.low)
        axes.set_ylim(series.low - margin, series.high + margin)
        axes.set_title(series.title, loc="left", fontsize=9, fontweight="bold")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=8)
        axes.grid(color=LINE, linewidth=0.8)
    named = list(numbers)[:: -(-len(records) // _MOST_NAMES)]
    plots[-1].set_xticks(named, [records[k - 1].batch[:18] for k in named], rotation=30, ha="right")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()
