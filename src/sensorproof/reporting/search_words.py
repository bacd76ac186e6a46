"""Every word of the page's section on the search and of its pictures, and the sentences that are made of them."""

from collections.abc import Iterator

from sensorproof.documents.search import SearchResult, Trial
from sensorproof.settings import name_scales

TITLE = "Search"
SCORES = {"full": "the score with all sensors", "mean": "the mean over the subsets"}
PICTURES = {
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
CAPTIONS = {
    "front": "The two scores of every trial that ended. On the line, no trial is better in both.",
    "history": "Scores in the order of the trials; the lines are the best so far.",
    "importance": "How much of the differences between trials each setting accounts for.",
    "slices": "Scores against each setting that was searched.",
}
COLUMNS = ("trial", "settings", "full", "mean", "worst", "seeds")
NOTE = (
    "All scores in this section are of validation frames and of short trainings; they chose the settings, and are no "
    "results. The results come from new trainings with these settings."
)
_OUTCOMES = {"pruned": ("was stopped early", "were stopped early"), "failed": ("failed", "failed")}


def sentences(result: SearchResult) -> Iterator[str]:
    """Yield why the trial was chosen, and what became of the others."""
    chosen = next((trial for trial in result.trials if trial.number == result.chosen), None)
    if chosen is None or result.choice is None:
        return
    wanted, other = result.choice.maximize, "full" if result.choice.maximize == "mean" else "mean"
    yield (
        f"Trial {chosen.number} of {len(result.trials)} was chosen: {SCORES[wanted]} is the best, "
        f"{_points(chosen, wanted)}, among the trials of the front that have {SCORES[other]} at most "
        f"{result.choice.tolerance:g} points below the best one."
    )
    if not chosen.is_feasible:
        broken = ", ".join(name for name, value in chosen.violations.items() if value > 0)
        yield f"No trial keeps every limit of promotion on validation frames; this one breaks them least ({broken})."
    for outcome, (one, many) in _OUTCOMES.items():
        if number := sum(trial.outcome == outcome for trial in result.trials):
            yield f"{number} {'trial' if number == 1 else 'trials'} {one if number == 1 else many}."
    if len(chosen.seeds) > 1:
        yield f"The trials close to the best were trained with {len(chosen.seeds)} seeds and are judged by their mean."


def describe(trial: Trial) -> str:
    """Describe the settings of a trial."""
    own = trial.regularizer
    parts = [f"strength {own.strength:.3g} on {name_scales(own.scales)}"]
    if "variant" in trial.values or "estimator" in trial.values:
        parts.append(f"{own.variant}, {own.estimator.replace('_', ' ')}")
    for name in ("modality_dropout", "class_balance", "learning_rate"):
        if name in trial.values:
            parts.append(f"{name.replace('_', ' ')} {float(trial.values[name]):.3g}")
    return "; ".join(parts)


def _points(trial: Trial, figure: str) -> str:
    value = getattr(trial, figure)
    return "none" if value is None else f"{value:.1f}"
