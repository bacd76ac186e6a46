"""Every word of the page's section on the search, and the sentences that are made of them; pictures are in English."""

from collections.abc import Iterator
from typing import Final

from sensorproof.documents.search import SearchResult, Trial
from sensorproof.reporting.language import _, mark, ngettext
from sensorproof.settings import name_scales

SCORES: Final = {"full": mark("the score with all sensors"), "mean": mark("the mean over the subsets")}
PICTURES: Final = {
    "front": "Pareto front",
    "chosen": "chosen",
    "kept": "keeps every limit",
    "broken": "breaks a limit",
    "full": "with all sensors, mIoU",
    "mean": "mean over the subsets, mIoU",
    "points": "mIoU on validation frames",
    "trial": "trial",
    "share": "share of the variance",
}
"""Of the pictures, for whose other languages matplotlib has no font."""
_BY: Final = {
    "dataset": mark("%(sensor)s standardised by the data set"),
    "frame": mark("%(sensor)s standardised by the frame"),
}
CAPTIONS: Final = {
    "front": mark("The two scores of every trial that ended. On the line, no trial is better in both."),
    "history": mark("Scores in the order of the trials; the lines are the best so far."),
    "importance": mark("How much of the differences between trials each setting accounts for."),
    "slices": mark("Scores against each setting that was searched."),
}


def sentences(result: SearchResult) -> Iterator[str]:
    """Yield why the trial was chosen, and what became of the others."""
    chosen = result.chosen_trial
    if chosen is None or result.choice is None:
        return
    wanted, other = result.choice.maximize, "full" if result.choice.maximize == "mean" else "mean"
    yield _(
        "Trial %(number)s of %(trials)s was chosen: %(wanted)s is the best, %(points)s, among the trials of the front "
        "that have %(other)s at most %(tolerance)s points below the best one.",
        number=chosen.number,
        trials=len(result.trials),
        wanted=_(SCORES[wanted]),
        points=_points(chosen, wanted),
        other=_(SCORES[other]),
        tolerance=f"{result.choice.tolerance:g}",
    )
    if not chosen.is_feasible:
        broken = ", ".join(name for name, value in chosen.violations.items() if value > 0)
        least = mark(
            "No trial keeps every limit of promotion on validation frames; this one breaks them least (%(limits)s)."
        )
        yield _(least, limits=broken)
    if number := sum(trial.outcome == "pruned" for trial in result.trials):
        yield ngettext("%(num)s trial was stopped early.", "%(num)s trials were stopped early.", number)
    if number := sum(trial.outcome == "failed" for trial in result.trials):
        yield ngettext("%(num)s trial failed.", "%(num)s trials failed.", number)
    if len(chosen.seeds) > 1:
        close = mark("The trials close to the best were trained with %(seeds)s seeds and are judged by their mean.")
        yield _(close, seeds=len(chosen.seeds))


def describe(trial: Trial) -> str:
    """Describe the settings of a trial."""
    own = trial.regularizer
    parts = [_("strength %(strength)s on %(scales)s", strength=f"{own.strength:.3g}", scales=name_scales(own.scales))]
    if "variant" in trial.values or "estimator" in trial.values:
        parts.append(f"{own.variant}, {own.estimator.replace('_', ' ')}")
    for name in ("modality_dropout", "class_balance", "learning_rate"):
        if name in trial.values:
            parts.append(f"{name.replace('_', ' ')} {float(trial.values[name]):.3g}")
    for sensor, how in (trial.standardize or {}).items():
        parts.append(_(_BY[how], sensor=sensor))
    return "; ".join(parts)


def _points(trial: Trial, figure: str) -> str:
    value = getattr(trial, figure)
    return _("none") if value is None else f"{value:.1f}"
