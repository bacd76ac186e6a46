"""Draw the figure for a README: every subset's score, baseline and candidate, and the gains with their intervals."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sensorproof.documents.evaluation import BASELINE, ArmSummary, Evaluation, Gain, Statistic
from sensorproof.errors import SensorproofError
from sensorproof.files import atomic_file
from sensorproof.reporting.formatting import arm_title, is_number, seeds, sensors_of, signed, subset_label

THEIRS, OURS, SOFT, LINE = "#8a6d1f", "#1559c9", "#566271", "#dde2e8"
_WIDTH = 8.0
"""Inches; twice as many hundreds of pixels."""


class _SubsetScore(NamedTuple):
    """The scores of baseline and candidate with one subset, in points."""

    label: str
    theirs: Statistic
    ours: Statistic


def draw_figure(evaluation: Evaluation, out: Path) -> None:
    """Write a PNG on white, atomically.

    Args:
        evaluation: a summary is one as well.
        out: the file to write.

    Raises:
        SensorproofError: there is no baseline, or the gain is not that of any arm.
    """
    drawn = io.BytesIO()
    compare_subsets(evaluation).savefig(drawn, format="png", metadata={"Software": None})
    with atomic_file(out) as temporary:
        temporary.write_bytes(drawn.getvalue())


def compare_subsets(evaluation: Evaluation) -> Any:
    """Return the figure, for matplotlib to save.

    Raises:
        SensorproofError: see `draw_figure`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    candidate = compared_arm(evaluation)
    scores = _subset_scores(evaluation.arms, candidate)
    heights = [0.27 * len(scores) + 0.5, 1.3]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.9), dpi=200, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=heights)
    _draw_scores(above, scores, candidate)
    _draw_gain(below, evaluation.gains, len(evaluation.arms[candidate].seeds))
    for axes in (above, below):
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=9)
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure


def compared_arm(evaluation: Evaluation) -> str:
    """Return the arm whose gain over the baseline the evaluation holds: the one whose scores differ by it."""
    fix = "give the summary.json or evaluation.json of a run with a baseline and a candidate"
    arms, gains = evaluation.arms, evaluation.gains
    gain = gains["mean"].value if gains else None
    if BASELINE not in arms or gain is None or not is_number(gain):
        raise SensorproofError("arms", "there is no baseline with a gain over it", fix)
    for name, arm in arms.items():
        if name != BASELINE and abs(arm.mean.mean - arms[BASELINE].mean.mean - gain) < 1e-6:
            return name
    raise SensorproofError("gain", f"{signed(gain)} is not the gain of any arm", fix)


def _subset_scores(arms: Mapping[str, ArmSummary], candidate: str) -> list[_SubsetScore]:
    """List every subset that both were scored with, the baseline's lowest first."""
    sensors = sensors_of({BASELINE: arms[BASELINE]})
    theirs, ours = arms[BASELINE].subsets, arms[candidate].subsets
    rows = [_SubsetScore(subset_label(s.split("+"), sensors), theirs[s], ours[s]) for s in theirs if s in ours]
    return sorted(rows, key=lambda row: row.theirs.mean)


def _draw_scores(axes: Any, scores: list[_SubsetScore], candidate: str) -> None:
    """Draw two dots a subset, joined by a line; a thin bar is one standard deviation to each side."""
    places = range(len(scores))
    for place, row in zip(places, scores, strict=True):
        ends = row.theirs.mean, row.ours.mean
        axes.hlines(place, *ends, color=OURS if ends[1] >= ends[0] else THEIRS, alpha=0.3, linewidth=5)
    for statistics, color, fill, name in (
        ([row.theirs for row in scores], THEIRS, "white", BASELINE),
        ([row.ours for row in scores], OURS, OURS, arm_title(candidate)),
    ):
        axes.errorbar(
            [score.mean for score in statistics],
            places,
            xerr=[score.std for score in statistics],
            fmt="o",
            color=color,
            markerfacecolor=fill,
            markeredgewidth=1.8,
            markersize=6.5,
            elinewidth=0.9,
            label=name,
        )
    axes.set_yticks(places, [row.label for row in scores])
    axes.set_ylim(-0.7, len(scores) - 0.3)
    axes.set_title("mIoU by the sensors that are present, test split", loc="left", fontsize=11, fontweight="bold")
    axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor=LINE, fontsize=9)


def _draw_gain(axes: Any, gains: Mapping[str, Gain], number: int) -> None:
    """Draw a dot and an interval for each figure, with zero marked and the numbers written out."""
    axes.axvline(0, color=SOFT, linewidth=1.4)
    known = [figure for figure, gain in gains.items() if is_number(gain.value)]
    labels = []
    for place, figure in enumerate(reversed(known)):
        value, (low, high) = gains[figure].value, gains[figure].ci95
        if low is not None and high is not None:
            axes.hlines(place, low, high, color=OURS, alpha=0.5, linewidth=4)
        axes.plot(value, place, "o", color=OURS, markersize=7, markerfacecolor=OURS if low is not None else "white")
        ends = "" if low is None else f" ({signed(low)} to {signed(high)})"
        labels.append(f"{figure}  {signed(value)}{ends}")
    axes.set_yticks(range(len(known)), labels)
    axes.set_ylim(-0.6, len(known) - 0.4)
    title = (
        f"Gain in points, with its interval over {seeds(number)}"
        if number > 1
        else "Gain in points; one seed gives no interval"
    )
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
