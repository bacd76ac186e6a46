"""Choose one trial from the Pareto front by the rule in params.yaml."""

from collections.abc import Sequence

from sensorproof.documents.search import Trial
from sensorproof.errors import SensorproofError
from sensorproof.settings import ChoiceSettings

OTHER = {"mean": "full", "full": "mean"}


def figure_of(trial: Trial, name: str) -> float:
    """Return `full`, `mean` or `worst` of a trial that ended."""
    value = getattr(trial, name)
    assert value is not None
    return float(value)


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that no other beats: as good in both scores and better in one. The best `full` comes first."""
    ended = [trial for trial in trials if trial.outcome == "complete"]
    points = [(figure_of(trial, "full"), figure_of(trial, "mean")) for trial in ended]
    front = [
        trial
        for trial, (full, mean) in zip(ended, points, strict=True)
        if not any(f >= full and m >= mean and (f, m) != (full, mean) for f, m in points)
    ]
    return sorted(front, key=lambda trial: (-figure_of(trial, "full"), trial.number))


def candidates(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials to choose from: those that keep every limit, else those that break the limits least."""
    ended = [trial for trial in trials if trial.outcome == "complete"]
    if not ended:
        reasons = next((trial.reason for trial in trials if trial.reason), "there was none")
        fix = "widen search.space towards weaker strengths and lower learning rates, or give it more time"
        raise SensorproofError("search", f"no trial of {len(trials)} ended with a score ({reasons})", fix)
    feasible = [trial for trial in ended if trial.is_feasible]
    if feasible:
        return feasible
    least = min(excess(trial) for trial in ended)
    return [trial for trial in ended if excess(trial) == least]


def excess(trial: Trial) -> float:
    """Return the points by which a trial breaks limits, summed."""
    return sum(max(0.0, value) for value in trial.violations.values())


def choose(trials: Sequence[Trial], rule: ChoiceSettings) -> Trial:
    """Return the trial of the front that the rule chooses: among equals, the first.

    Args:
        trials: all trials; those with more seeds come before those with fewer.
        rule: the best of one score among those whose other score is at most `tolerance` below the best.

    Raises:
        SensorproofError: no trial has ended with a score.
    """
    eligible = candidates(trials)
    most = max(len(trial.seeds) for trial in eligible)
    front = pareto_front([trial for trial in eligible if len(trial.seeds) == most])
    return _best(front, rule)


def _best(front: Sequence[Trial], rule: ChoiceSettings) -> Trial:
    other = OTHER[rule.maximize]
    least = max(figure_of(trial, other) for trial in front) - rule.tolerance
    near = [trial for trial in front if figure_of(trial, other) >= least]
    return max(near, key=lambda trial: (figure_of(trial, rule.maximize), -trial.number))


def close_trials(trials: Sequence[Trial], rule: ChoiceSettings, close: float) -> list[Trial]:
    """Return the trials that chance may keep from being chosen: with a little more of both scores they would be.

    Args:
        trials: all trials, each with one seed.
        rule: see `choose`.
        close: points that a trial may lie below the chosen one, and below the limit on the other score.

    Returns:
        In order of their numbers; the chosen one is among them. No trial if none has ended.
    """
    if not any(trial.outcome == "complete" for trial in trials):
        return []
    eligible = candidates(trials)
    best, other = _best(pareto_front(eligible), rule), OTHER[rule.maximize]
    top = max(figure_of(trial, other) for trial in eligible)
    return [
        trial
        for trial in eligible
        if figure_of(trial, rule.maximize) >= figure_of(best, rule.maximize) - close
        and figure_of(trial, other) >= top - rule.tolerance - close
    ]
