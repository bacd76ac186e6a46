"""A worker of the search: it takes tasks from the study until there are none, and hands out those of dead workers."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from sensorproof.adapters.optuna_study import BEAT, Claim, SearchStudy
from sensorproof.documents.search import Check, TaskResult, ValidationScores
from sensorproof.errors import SensorproofError
from sensorproof.searching.data import SearchData
from sensorproof.searching.progress import describe_left, describe_result
from sensorproof.searching.pruning import goes_on
from sensorproof.searching.schedule import missing_repeats, next_action
from sensorproof.searching.scores import find_violations
from sensorproof.searching.space import to_settings
from sensorproof.searching.tasks import Attempt, Board
from sensorproof.searching.trial import TrialRun, score_reference
from sensorproof.settings import Settings

REFERENCE = "reference"
"""Note on the study: the baseline's scores."""
_SLOW_S = 2.0
"""Reading a study takes longer only if the storage was away."""


@dataclass(frozen=True)
class Pace:
    """How often a worker shows that it lives, and when others take it for dead; in seconds."""

    beat: float = 5.0
    grace: float = 30.0
    poll: float = 1.0


@dataclass
class Watch:
    """Notices entries whose worker no longer shows that it lives.

    It measures with its own clock how long a counter has stood still, so the clocks of the machines need not agree.

    Args:
        grace: seconds.
        clock: the time in seconds.
    """

    grace: float
    clock: Callable[[], float] = time.monotonic
    _since: dict[int, tuple[int | None, float]] = field(default_factory=dict)

    def find_dead(self, board: Board) -> list[Attempt]:
        """Return the running entries whose counter has stood still for too long."""
        now, before = self.clock(), self._since
        running = [own for own in board.attempts if own.state == "running"]
        self._since = {
            own.number: seen if (seen := before.get(own.number)) and seen[0] == own.beat else (own.beat, now)
            for own in running
        }
        return [own for own in running if now - self._since[own.number][1] > self.grace]

    def forget(self) -> None:
        """Begin again, as no counter could rise while the storage was away."""
        self._since.clear()


class Worker:
    """Works on a study.

    Args:
        study: the study.
        folds: the data.
        settings: budget, space, limits.
        say: prints one line.
        pace: see `Pace`.
    """

    def __init__(
        self,
        study: SearchStudy,
        folds: Sequence[SearchData],
        settings: Settings,
        say: Callable[[str], None],
        pace: Pace = Pace(),
    ) -> None:
        self._study, self._folds, self._settings, self._say, self._pace = study, folds, settings, say, pace
        self._watch = Watch(pace.grace)

    def sweep(self) -> None:
        """Give up every running entry: the caller knows that no other worker lives."""
        for own in self._study.board().attempts:
            if own.state == "running":
                self._study.settle(own.number, own.result)

    def reference(self) -> tuple[ValidationScores, ...]:
        """Return the baseline's scores, from the study or from a training of its own."""
        noted = self._study.note(REFERENCE)
        if noted is None:
            scores = score_reference(self._folds, self._settings)
            self._study.note(REFERENCE, [own.to_json() for own in scores])
            return scores
        return tuple(ValidationScores.parse(own, "study") for own in noted)

    def work(self) -> Board:
        """Take tasks until every one is done; return the study as it is then."""
        reference = self.reference()
        while True:
            self._recover()
            board = self._study.board()
            for task in missing_repeats(board, reference, self._settings):
                values = next(own.values for known, own in board.results().items() if known.trial == task.trial)
                self._study.enqueue(values, "repetition", task)
            board = self._study.board()
            action = next_action(board, self._settings, datetime.now())
            if action == "finish":
                return board
            if action == "wait":
                time.sleep(self._pace.poll)
            elif claim := self._study.claim():
                self._do(claim, reference)

    def _recover(self) -> None:
        """End what dead workers have left, and hand out their tasks again."""
        started = time.monotonic()
        board = self._study.board()
        if time.monotonic() - started > _SLOW_S:
            self._watch.forget()
        for own in self._watch.find_dead(board):
            self._study.settle(own.number, own.result)
        for task, last in self._study.board().lost().items():
            self._study.enqueue(last.values, last.origin, task)

    def _do(self, claim: Claim, reference: Sequence[ValidationScores]) -> None:
        """Train one task and write its result."""
        first = claim.task.seed == self._settings.search.seeds[0]
        checks: list[Check] = []

        def compare(place: int, check: Check) -> bool:
            checks.append(check)
            self._study.record(claim, checks)
            others = self._study.board().rung_scores(place, claim.trial.number)
            return goes_on(check.score, others, self._settings.search.pruning.reduction)

        chosen = to_settings(claim.values, self._settings)
        with self._showing_life(claim):
            run = TrialRun(chosen, claim.task.seed, self._folds, self._settings, compare if first else None)
            try:
                result = run()
            except (SensorproofError, KeyboardInterrupt):
                self._study.settle(claim.trial.number, None)
                raise
            ended = result.outcome == "complete"
            limits = find_violations(result.scores, reference, self._settings.promotion) if ended else {}
            if self._study.finish(claim, result, limits):
                self._report(claim, result)

    def _report(self, claim: Claim, result: TaskResult) -> None:
        self._say(describe_result(claim.task, to_settings(claim.values, self._settings), result))
        self._say(describe_left(self._study.board(), self._settings, datetime.now()))

    @contextmanager
    def _showing_life(self, claim: Claim) -> Iterator[None]:
        """Raise the entry's counter every few seconds, also while the storage comes and goes."""
        ended = threading.Event()

        def beat() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                # Away for a moment, or the task was given to another worker: the end of the task shows which.
                with suppress(OptunaError, SQLAlchemyError, OSError):
                    claim.trial.set_user_attr(BEAT, number)
                ended.wait(self._pace.beat)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
