"""Pictures of a result for slides and reports, in English: matplotlib has no font for every language."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sensorproof.documents.evaluation import BASELINE, ArmSummary, Evaluation
from sensorproof.documents.silent import SilentScores
from sensorproof.reporting.calibration_rows import calibration_rows
from sensorproof.reporting.contribution_rows import contribution_rows
from sensorproof.reporting.figure import LINE, OURS, SOFT, THEIRS, compare_subsets
from sensorproof.reporting.formatting import arm_title, is_number
from sensorproof.reporting.language import use_language
from sensorproof.reporting.protocol_rows import SensorCurves, degradation_curves
from sensorproof.reporting.silent_table import failure_title
from sensorproof.settings import PromotionSettings

_WIDTH: Final = 8.0
"""Inches."""
_FORMATS: Final = ("png", "svg")
_NO_TIME: Final = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
"""The same result makes the same bytes."""


def write_pictures(folder: Path, evaluation: Evaluation, promotion: PromotionSettings) -> None:
    """Write each picture that the evaluation has figures for, as PNG and SVG."""
    import matplotlib as mpl

    with use_language("en"), mpl.rc_context({"svg.hashsalt": "sensorproof", "svg.fonttype": "none"}):
        for name, figure in _figures(evaluation, promotion):
            for kind in _FORMATS:
                figure.savefig(folder / f"{name}.{kind}", format=kind, metadata=_NO_TIME[kind])


def _figures(evaluation: Evaluation, promotion: PromotionSettings) -> Iterator[tuple[str, Any]]:
    """Yield name and figure of each picture."""
    arms, candidate = evaluation.arms, promotion.candidate
    gain = evaluation.gains.get("mean")
    if BASELINE in arms and candidate in arms and gain and is_number(gain.value) and candidate != BASELINE:
        yield "subsets", compare_subsets(evaluation)
    pair = [name for name in dict.fromkeys((BASELINE, candidate)) if name in arms]
    silent = arms[candidate].silent if candidate in arms else None
    if silent is not None:
        yield "silent", _draw_silent(silent, candidate)
    yield from _protocols(arms, pair)


def _new_figure(rows: int, columns: int, height: float) -> tuple[Any, Any]:
    """Make a white figure of plots with common axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    plots = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in plots:
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=8)
        axes.grid(color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, plots


def _draw_silent(silent: SilentScores, candidate: str) -> Any:
    """Draw, for each sensor, each failure as it is believed and with the monitor, beside declared absence."""
    columns = 2 if len(silent.sensors) > 1 else 1
    rows = -(-len(silent.sensors) // columns)
    most = max(len(own.failures) for own in silent.sensors.values())
    figure, plots = _new_figure(rows, columns, rows * (0.24 * most + 0.7) + 0.6)
    for axes in plots[len(silent.sensors) :]:
        axes.set_visible(False)
    for axes, (sensor, own) in zip(plots, silent.sensors.items(), strict=False):
        places = range(len(own.failures))
        believed = [scores.kept for scores in own.failures.values()]
        monitored = [scores.monitored for scores in own.failures.values()]
        axes.axvline(own.absent, color=SOFT, linewidth=1.2, linestyle="--", label="declared absent")
        axes.hlines(places, believed, monitored, color=LINE, linewidth=4)
        axes.plot(believed, places, "o", color=THEIRS, markerfacecolor="white", label="believed")
        axes.plot(monitored, places, "o", color=OURS, label="with the monitor")
        axes.set_yticks(places, [failure_title(kind) for kind in own.failures])
        axes.set_title(sensor, loc="left", fontsize=10, fontweight="bold")
    plots[0].invert_yaxis()
    plots[0].legend(loc="best", fontsize=7)
    figure.suptitle(f"mIoU while one sensor fails without saying so, {arm_title(candidate)}", fontsize=11)
    return figure


def _protocols(arms: Mapping[str, ArmSummary], pair: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the pictures of degradations, contributions and calibration that were measured."""
    if curves := degradation_curves(arms, pair):
        yield "degradations", _draw_degradations(curves, pair)
    if rows := contribution_rows(arms, pair[-1]):
        figure, (axes,) = _new_figure(1, 1, 0.5 * len(rows) + 1.2)
        for place, arm in enumerate(pair):
            values = [row.cells[place].shapley for row in rows]
            places = [k + 0.2 * (2 * place - len(pair) + 1) for k in range(len(rows))]
            axes.barh(places, values, height=0.36, color=(THEIRS, OURS)[place], label=arm_title(arm))
        axes.set_yticks(range(len(rows)), [row.sensor for row in rows])
        axes.invert_yaxis()
        axes.legend(fontsize=8)
        axes.set_title("Shapley value of each sensor, points", loc="left", fontsize=11, fontweight="bold")
        yield "contributions", figure
    if calibration := calibration_rows(arms, pair):
        figure, (axes,) = _new_figure(1, 1, 0.4 * len(calibration) + 1.2)
        for place, arm in enumerate(pair):
            errors = [100 * row.cells[place].ece for row in calibration]
            axes.plot(errors, range(len(errors)), "o", color=(THEIRS, OURS)[place], label=arm_title(arm))
        axes.set_yticks(range(len(calibration)), [row.label for row in calibration])
        axes.set_xlim(left=0)
        axes.invert_yaxis()
        axes.legend(fontsize=8)
        axes.set_title("Expected calibration error, per cent", loc="left", fontsize=11, fontweight="bold")
        yield "calibration", figure


def _draw_degradations(curves: Sequence[SensorCurves], pair: Sequence[str]) -> Any:
    """Draw a row of plots for each sensor, a plot for each degradation."""
    columns = max(len(own.curves) for own in curves)
    figure, plots = _new_figure(len(curves), columns, 1.5 * len(curves) + 0.6)
    for row, own in enumerate(curves):
        for column in range(columns):
            axes = plots[row * columns + column]
            if column >= len(own.curves):
                axes.set_visible(False)
                continue
            curve = own.curves[column]
            for line in curve.lines:
                first = line.arm == pair[0]
                axes.plot(
                    own.severities,
                    line.scores,
                    color=THEIRS if first else OURS,
                    linestyle="--" if first else "-",
                    label=arm_title(line.arm),
                )
            axes.set_ylim(own.low, own.high)
            axes.set_title(f"{own.sensor}: {curve.title}", loc="left", fontsize=7)
    plots[0].legend(fontsize=6)
    figure.suptitle("mIoU while one sensor is degraded, by severity", fontsize=11)
    return figure
