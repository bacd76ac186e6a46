"""Stop poor trials early: asynchronous successive halving (Li et al., MLSys 2020).

Optuna has no pruning for studies with several objectives (`Trial.report` raises an error), so the rule is here. It
compares selection scores, and depends on nothing but the scores so far.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sensorproof.settings import PruningSettings


@dataclass(frozen=True)
class Rung:
    """A point of a trial at which it is compared with others that have come as far."""

    fold: int
    step: int
    """Of the fold's training."""

    def total(self, steps: int) -> int:
        """Return the steps of the trial so far, where each fold takes `steps`."""
        return self.fold * steps + self.step


def place_rungs(steps: int, folds: int, settings: PruningSettings) -> list[Rung]:
    """Return the rungs of a trial: within the first fold, and after each fold but the last.

    Args:
        steps: of each training.
        folds: number of trainings.
        settings: where the first rung is, and the ratio of two.
    """
    if settings.first >= 1:
        return []
    rungs, share = [], settings.first
    while round(share * steps) < steps:
        rungs.append(Rung(0, max(1, round(share * steps))))
        share *= settings.reduction
    return list(dict.fromkeys(rungs)) + [Rung(fold, steps) for fold in range(folds - 1)]


def goes_on(score: float, earlier: Sequence[float], reduction: int) -> bool:
    """Return whether a trial is among the best 1 / reduction, rounded up, of those that have come as far.

    Args:
        score: its own.
        earlier: of the others.
        reduction: one of so many goes on.

    Examples:
        >>> goes_on(50.0, [], 3), goes_on(50.0, [51.0], 3), goes_on(50.0, [51.0, 40.0, 41.0], 3)
        (True, False, True)
    """
    better = sum(other > score for other in earlier)
    return better < math.ceil((len(earlier) + 1) / reduction)
