"""What a worker does next: a pure function of the study and the clock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sensorproof.documents.search import ValidationScores
from sensorproof.searching.choice import close_trials
from sensorproof.searching.results import gather_trials
from sensorproof.searching.tasks import Board, Task
from sensorproof.settings import Settings

Action = Literal["claim", "wait", "finish"]


def next_action(board: Board, settings: Settings, now: datetime) -> Action:
    """Return what to do: take a task or a new trial, wait for other workers, or go.

    Args:
        board: the study, without lost tasks.
        settings: the budget.
        now: the time, in the zone of the attempts.
    """
    minutes = settings.search.minutes
    running = any(own is not None and own.state == "running" for own in board.holders().values())
    if minutes is not None and board.seconds_spent(now) >= 60 * minutes:
        return "wait" if running else "finish"
    if board.has_waiting() or board.limit is None or board.trials() < board.limit:
        return "claim"
    return "finish" if board.is_settled() else "wait"


def missing_repeats(board: Board, reference: Sequence[ValidationScores], settings: Settings) -> list[Task]:
    """Return the repetitions that are not handed out yet: of the trials close to the best, with the further seeds.

    They wait until every trial has ended with the first seed. Where a single trial is close, none is needed.

    Args:
        board: the study.
        reference: the baseline's scores.
        settings: the seeds, and what is close.
    """
    search = settings.search
    if len(search.seeds) < 2 or not board.is_settled() or board.limit is None or board.trials() < board.limit:
        return []
    trials = gather_trials(board, reference, settings, search.seeds[:1])
    close = close_trials(trials, search.choice, search.close)
    if len(close) < 2:
        return []
    known = board.tasks()
    wanted = [Task(trial.number, seed) for seed in search.seeds[1:] for trial in close]
    return [task for task in wanted if task not in known]
