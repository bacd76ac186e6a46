"""What a study has to do and who does it: tasks, and the attempts of workers at them. Pure, and the same for all.

A task is a trial with one seed. Its attempts are entries of the study. The first attempt that was not abandoned counts;
later ones are surplus. So a task that two workers hand out again at the same moment is still counted once, and one
whose worker died between two writes is found and handed out again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sensorproof.documents.search import Check, TaskResult, Values

State = Literal["waiting", "running", "done", "abandoned", "surplus"]
MOST_ATTEMPTS = 10
"""A task that so many workers have died of is not tried again."""


class Task(NamedTuple):
    """A trial with one seed."""

    trial: int
    seed: int


@dataclass(frozen=True)
class Attempt:
    """One entry of the study."""

    number: int
    """In the order in which the entries were made."""
    state: State
    task: Task | None = None
    """None for an entry that was made as a new trial: its task is given by its place among those."""
    origin: str = "sampler"
    values: Values = field(default_factory=dict)
    beat: int | None = None
    """Rises while its worker lives."""
    checks: tuple[Check, ...] = ()
    result: TaskResult | None = None
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class Board:
    """All tasks of a study with their attempts.

    Args:
        attempts: every entry of the study, in order.
        first_seed: the seed of new trials.
        limit: number of trials, or None where time limits them.
    """

    attempts: Sequence[Attempt]
    first_seed: int
    limit: int | None

    def tasks(self) -> dict[Task, list[Attempt]]:
        """Return {task: its attempts in order}, without surplus trials beyond the limit."""
        tasks: dict[Task, list[Attempt]] = {}
        number = 0
        for attempt in self.attempts:
            if attempt.state == "surplus":
                continue
            task = attempt.task
            if task is None:
                task, number = Task(number, self.first_seed), number + 1
                if self.limit is not None and task.trial >= self.limit:
                    continue
            tasks.setdefault(task, []).append(attempt)
        return tasks

    def holders(self) -> dict[Task, Attempt | None]:
        """Return {task: the attempt that counts}; None where all were abandoned."""
        return {
            task: next((attempt for attempt in attempts if attempt.state != "abandoned"), None)
            for task, attempts in self.tasks().items()
        }

    def task_of(self, number: int) -> Task | None:
        """Return the task that an entry is to do, or None if it is surplus."""
        return next((task for task, own in self.holders().items() if own and own.number == number), None)

    def lost(self) -> dict[Task, Attempt]:
        """Return the tasks to hand out again, with their last attempt."""
        tasks = self.tasks()
        return {
            task: tasks[task][-1]
            for task, holder in self.holders().items()
            if holder is None and len(tasks[task]) < MOST_ATTEMPTS
        }

    def hopeless(self) -> dict[Task, Attempt]:
        """Return the tasks that too many workers died of, with their last attempt."""
        tasks = self.tasks()
        return {
            task: tasks[task][-1]
            for task, holder in self.holders().items()
            if holder is None and len(tasks[task]) >= MOST_ATTEMPTS
        }

    def trials(self) -> int:
        """Return the number of trials begun or waiting."""
        return sum(task.seed == self.first_seed for task in self.tasks())

    def is_settled(self) -> bool:
        """Return whether no task is waiting, running or lost."""
        return not self.lost() and all(own is None or own.state == "done" for own in self.holders().values())

    def has_waiting(self) -> bool:
        """Return whether an entry waits for a worker."""
        return any(attempt.state == "waiting" for attempt in self.attempts)

    def results(self) -> dict[Task, Attempt]:
        """Return the finished tasks."""
        return {task: own for task, own in self.holders().items() if own is not None and own.result is not None}

    def rung_scores(self, place: int, but: int) -> list[float]:
        """Return the scores of all other trials at a rung."""
        owners = [(t, own) for t, own in self.holders().items() if own is not None and own.number != but]
        return [
            own.checks[place].score
            for task, own in owners
            if own is not None and task.seed == self.first_seed and len(own.checks) > place
        ]

    def seconds_spent(self, now: datetime) -> float:
        """Return the time during which at least one attempt ran."""
        spans = sorted((own.started, own.ended or now) for own in self.attempts if own.started is not None)
        total, reached = timedelta(), None
        for start, end in spans:
            begin = start if reached is None else max(start, reached)
            if end > begin:
                total += end - begin
                reached = end
        return total.total_seconds()
