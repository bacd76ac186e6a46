"""Pictures of a search: the front, the history, the importance of the dimensions, and slices through the space."""

import io
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

from sensorproof.documents.search import SearchResult, Trial
from sensorproof.reporting.figure import LINE, OURS, SOFT, THEIRS
from sensorproof.reporting.search_words import PICTURES

_WIDTH, _HEIGHT = 5.4, 3.6
"""Inches."""
_COLUMNS = 4
"""Parts of a picture side by side."""


def draw_pictures(result: SearchResult) -> dict[str, bytes]:
    """Return {name: PNG} of `front`, `history`, `importance` and `slices`, of which those without content are left out.

    Args:
        result: of a search with trials.
    """
    ended = [trial for trial in result.trials if trial.outcome == "complete"]
    if not ended:
        return {}
    names = _dimensions(ended)
    pictures = {
        "front": _draw(lambda axes: _front(axes, ended, result)),
        "history": _draw(lambda a: _history(a, ended)),
    }
    if any(result.importance.values()):
        pictures["importance"] = _draw(lambda axes: _importance(axes, result))
    if names:
        pictures["slices"] = _draw(lambda *axes: _slices(axes, ended, names), len(names))
    return pictures


def _draw(paint: Callable[..., None], parts: int = 1) -> bytes:
    """Draw on white in so many parts, side by side and then below, and return the PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(parts, _COLUMNS)
    rows = ceil(parts / columns)
    width = _WIDTH if columns == 1 else 3.2 * columns
    figure = Figure(figsize=(width, _HEIGHT * rows), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(parts)]
    paint(*axes)
    for own in axes:
        own.spines[["top", "right"]].set_visible(False)
        own.spines[["left", "bottom"]].set_color(LINE)
        own.tick_params(length=0, labelsize=8, colors=SOFT)
        own.grid(color=LINE, linewidth=0.6)
        own.set_axisbelow(True)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()


def _front(axes: Any, ended: Sequence[Trial], result: SearchResult) -> None:
    by_number = {trial.number: trial for trial in ended}
    front = [by_number[number] for number in result.front]
    for feasible, marker in ((True, "o"), (False, "x")):
        own = [trial for trial in ended if trial.is_feasible == feasible]
        if own:
            label = PICTURES["kept" if feasible else "broken"]
            axes.scatter([t.full for t in own], [t.mean for t in own], 26, SOFT, marker=marker, label=label)
    axes.plot([t.full for t in front], [t.mean for t in front], color=OURS, linewidth=1, label=PICTURES["front"])
    for trial in ended:
        place = (float(trial.full or 0), float(trial.mean or 0))
        axes.annotate(str(trial.number), place, (3, 3), textcoords="offset points", fontsize=7, color=SOFT)
    if result.chosen in by_number:
        chosen = by_number[result.chosen]
        axes.scatter([chosen.full], [chosen.mean], 70, OURS, zorder=3, label=PICTURES["chosen"])
    axes.set_xlabel(PICTURES["full"], fontsize=9)
    axes.set_ylabel(PICTURES["mean"], fontsize=9)
    axes.legend(fontsize=7, frameon=False)


def _history(axes: Any, ended: Sequence[Trial]) -> None:
    for name, color in (("full", THEIRS), ("mean", OURS)):
        values = [float(getattr(trial, name)) for trial in ended]
        best = [max(values[: k + 1]) for k in range(len(values))]
        axes.scatter([trial.number for trial in ended], values, 16, color)
        axes.step([trial.number for trial in ended], best, color=color, where="post", label=PICTURES[name])
    axes.set_xlabel(PICTURES["trial"], fontsize=9)
    axes.set_ylabel(PICTURES["points"], fontsize=9)
    axes.legend(fontsize=7, frameon=False)


def _importance(axes: Any, result: SearchResult) -> None:
    names = sorted({name for shares in result.importance.values() for name in shares}, reverse=True)
    for place, (score, color) in enumerate((("full", THEIRS), ("mean", OURS))):
        shares = [result.importance.get(score, {}).get(name, 0.0) for name in names]
        axes.barh([k + 0.38 * place for k in range(len(names))], shares, 0.36, color=color, label=PICTURES[score])
    axes.set_yticks([k + 0.19 for k in range(len(names))], names)
    axes.set_xlabel(PICTURES["share"], fontsize=9)
    axes.legend(fontsize=7, frameon=False)


def _slices(axes: Sequence[Any], ended: Sequence[Trial], names: Sequence[str]) -> None:
    for own, name in zip(axes, names, strict=True):
        known = [trial for trial in ended if name in trial.values]
        for score, color in (("full", THEIRS), ("mean", OURS)):
            points = [(trial.values[name], float(getattr(trial, score))) for trial in known]
            own.scatter(*zip(*points, strict=True), 16, color, label=PICTURES[score])
        if name.startswith(("strength", "learning_rate")):
            _show_decades(own)
        elif any(isinstance(trial.values[name], str) for trial in known):
            own.margins(x=0.5)
        own.set_xlabel(name, fontsize=9)
    for own in axes[::_COLUMNS]:
        own.set_ylabel(PICTURES["points"], fontsize=9)
    axes[0].legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))


def _show_decades(axes: Any) -> None:
    """Make the x axis logarithmic, with few labels, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _dimensions(trials: Sequence[Trial]) -> list[str]:
    return sorted({name for trial in trials for name in trial.values})
