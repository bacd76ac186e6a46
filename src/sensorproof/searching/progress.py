"""Lines about the progress of a search."""

from datetime import datetime
from typing import Final

from sensorproof.documents.search import ArmSettings, TaskResult, Trial
from sensorproof.searching.scores import FIGURES, average
from sensorproof.searching.tasks import Board, Task
from sensorproof.settings import Settings, name_scales

_BY: Final = {"dataset": "the data set", "frame": "the frame"}


def describe_settings(chosen: ArmSettings | Trial) -> str:
    """Describe a point in a few words."""
    own = chosen.regularizer
    words = [f"strength {own.strength:.3g} on {name_scales(own.scales)}"]
    if (own.variant, own.estimator) != ("single", "first_order"):
        words.append(f"{own.variant} {own.estimator}")
    if own.modality_dropout:
        words.append(f"modality dropout {own.modality_dropout:.2g}")
    words += [f"class balance {chosen.class_balance:.2g}", f"learning rate {chosen.learning_rate:.3g}"]
    words += [f"{name} standardised by {_BY[how]}" for name, how in (chosen.standardize or {}).items()]
    return ", ".join(words)


def describe_result(task: Task, chosen: ArmSettings, result: TaskResult) -> str:
    """Describe a task that has ended."""
    if result.outcome == "complete":
        figures = ", ".join(f"{figure} {average(result.scores, figure):.1f}" for figure in FIGURES)
        ended = f"validation mIoU {figures}"
    else:
        ended = f"{'stopped early' if result.outcome == 'pruned' else 'failed'}: {result.reason}"
    return f"trial {task.trial}, seed {task.seed}: {describe_settings(chosen)}: {ended}"


def describe_left(board: Board, settings: Settings, now: datetime) -> str:
    """Describe how much is done, and about how long the rest takes at the speed so far."""
    spent, done = board.seconds_spent(now), len(board.results())
    if settings.search.minutes is not None:
        left = max(0.0, 60 * settings.search.minutes - spent)
        return f"{done} trainings ended, {_minutes(left)} left for new ones"
    total = max(settings.search.trials or 0, len(board.tasks()))
    left = spent / max(1, done) * (total - done)
    return f"{done} of {total} ended" + (f", about {_minutes(left)} left" if total > done else "")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
