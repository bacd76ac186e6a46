"""One study of the search in Optuna: its entries as attempts, and the few writes that a worker makes.

Optuna's own heartbeat is not used. It does not see a worker that is killed before its first beat, its thread ends when
the database is away for a moment, a journal has none, and a worker that is killed between the two writes of a retry
loses the trial. Here every entry has a counter that rises while its worker lives, and what to do is derived from the
entries alone (`searching.tasks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from sensorproof.adapters.optuna_storage import patiently
from sensorproof.documents.search import Check, TaskResult, Values
from sensorproof.hashing import hash_json
from sensorproof.searching.space import Dimension, Interval, propose
from sensorproof.searching.tasks import Attempt, Board, State, Task
from sensorproof.settings import Settings

BEAT, VALUES, CHECKS, RESULT, SURPLUS, ORIGIN, TASK = (
    "beat", "values", "checks", "result", "surplus", "origin", "task"
)  # fmt: skip
"""User attributes of an entry."""
_STARTUP_FRACTION, _MOST_STARTUP = 0.5, 10
"""Fraction of the trials drawn at random before TPE (Bergstra et al., NeurIPS 2011) proposes them, and their most."""


@dataclass(frozen=True)
class Claim:
    """A task that this worker has taken."""

    trial: optuna.Trial
    task: Task
    values: Values
    origin: str


class SearchStudy:
    """A study with two objectives, `full` and `mean`, both to be maximised.

    Args:
        study: in any storage.
        settings: the budget, the space and the seeds.
    """

    def __init__(self, study: optuna.Study, settings: Settings) -> None:
        self._study, self._search = study, settings.search
        self._finished: dict[int, Attempt] = {}

    @property
    def name(self) -> str:
        """The study's name in its storage."""
        return self._study.study_name

    def board(self) -> Board:
        """Read all entries."""
        trials = patiently(lambda: self._study.get_trials(deepcopy=False))
        attempts = [self._finished.get(trial.number) or _to_attempt(trial) for trial in trials]
        self._finished = {own.number: own for own in attempts if own.state not in ("waiting", "running")}
        return Board(attempts, self._search.seeds[0], self._search.trials)

    def note(self, key: str, value: Any = None) -> Any:
        """Write a value on the study; without one, read it (None where there is none)."""
        if value is None:
            return patiently(lambda: self._study.user_attrs.get(key))
        return patiently(lambda: self._study.set_user_attr(key, value))

    def enqueue(self, values: Values, origin: str, task: Task | None = None) -> None:
        """Add an entry that waits for a worker.

        Args:
            values: a whole point of the space, or nothing to have the sampler propose one.
            origin: where the values come from.
            task: None for a new trial.
        """
        attributes: dict[str, Any] = {ORIGIN: origin} | ({VALUES: values} if values else {})
        if task is not None:
            attributes[TASK] = list(task)
        patiently(lambda: self._study.enqueue_trial(dict(values), user_attrs=attributes))

    def claim(self) -> Claim | None:
        """Take a waiting entry, or make a new one; None if it was surplus."""
        return patiently(self._claim)

    def _claim(self) -> Claim | None:
        trial = self._study.ask()
        attempts = self.board()
        task = attempts.task_of(trial.number)
        if task is None:
            trial.set_user_attr(SURPLUS, True)
            self._tell(trial.number, TrialState.FAIL)
            return None
        self._study.sampler = make_sampler(self._search.seeds[0], task.trial, self._search.trials)
        values = propose(self._search.space, lambda dimension: _suggest(trial, dimension))
        trial.set_user_attr(VALUES, values)
        return Claim(trial, task, values, str(trial.user_attrs.get(ORIGIN, "sampler")))

    def record(self, claim: Claim, checks: list[Check]) -> bool:
        """Write the scores that a trial has reached; return whether it is still this worker's."""
        return self._write(claim.trial, CHECKS, [check.to_json() for check in checks])

    def finish(self, claim: Claim, result: TaskResult, violations: Mapping[str, float]) -> bool:
        """Write the result of a task; return False if the task was given to another worker meanwhile.

        Args:
            claim: the task.
            result: what came of it.
            violations: {gate: points beyond its limit}.
        """
        for gate, value in violations.items():
            if not self._constrain(claim.trial, gate, value):
                return False
        if not self._write(claim.trial, RESULT, result.to_json()):
            return False
        return self.settle(claim.trial.number, result)

    def settle(self, number: int, result: TaskResult | None) -> bool:
        """End an entry: with its result if its worker had written one, else as abandoned."""
        if result is None or result.outcome == "failed":
            return self._tell(number, TrialState.FAIL)
        if result.outcome == "pruned":
            return self._tell(number, TrialState.PRUNED)
        folds = len(result.scores)
        values = [sum(getattr(own, name) for own in result.scores) / folds for name in ("full", "mean")]
        return self._tell(number, TrialState.COMPLETE, values)

    def _tell(self, number: int, state: TrialState, values: list[float] | None = None) -> bool:
        """Change the state of an entry; return False if another worker has done so."""

        def tell() -> bool:
            try:
                self._study.tell(number, values, state)
            except (ValueError, UpdateFinishedTrialError):
                own = next(t for t in self._study.get_trials(deepcopy=False) if t.number == number)
                if not own.state.is_finished():
                    raise
                return own.state == state
            return True

        return patiently(tell)

    @staticmethod
    def _write(trial: optuna.Trial, key: str, value: Any) -> bool:
        try:
            patiently(lambda: trial.set_user_attr(key, value))
        except UpdateFinishedTrialError:
            return False
        return True

    @staticmethod
    def _constrain(trial: optuna.Trial, gate: str, value: float) -> bool:
        try:
            patiently(lambda: trial.set_constraint(gate, value))
        except UpdateFinishedTrialError:
            return False
        return True

    def importance(self) -> dict[str, dict[str, float]]:
        """Return {score: {dimension: share of its variance}}; empty where the trials are too few or too much alike."""
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares: dict[str, dict[str, float]] = {}
        for place, name in enumerate(("full", "mean")):

            def target(trial: FrozenTrial, place: int = place) -> float:
                return float(trial.values[place])

            try:
                found = optuna.importance.get_param_importances(self._study, evaluator=evaluator, target=target)
            except (ValueError, RuntimeError):
                continue
            shares[name] = {dimension: float(share) for dimension, share in found.items()}
        return shares


def make_sampler(seed: int, trial: int, trials: int | None) -> optuna.samplers.TPESampler:
    """Return the sampler of one trial: it depends on nothing but seed, number and the trials so far.

    So an interrupted search with one worker continues with the same trials.
    """
    startup = _MOST_STARTUP if trials is None else min(_MOST_STARTUP, max(1, round(trials * _STARTUP_FRACTION)))
    return optuna.samplers.TPESampler(seed=int(hash_json([seed, trial])[:8], 16), n_startup_trials=startup)


def _suggest(trial: optuna.Trial, dimension: Dimension) -> float | str:
    if isinstance(dimension, Interval):
        return trial.suggest_float(dimension.name, dimension.low, dimension.high, log=dimension.log)
    return trial.suggest_categorical(dimension.name, list(dimension.choices))


def _to_attempt(trial: FrozenTrial) -> Attempt:
    """Convert an entry to plain data."""
    own = trial.user_attrs
    result = TaskResult.parse(own[RESULT], "study") if RESULT in own else None
    if not trial.state.is_finished():
        state: State = "waiting" if trial.state == TrialState.WAITING else "running"
    elif own.get(SURPLUS):
        state = "surplus"
    else:
        state = "abandoned" if result is None else "done"
    return Attempt(
        number=trial.number,
        state=state,
        task=Task(*own[TASK]) if TASK in own else None,
        origin=own.get(ORIGIN, "sampler"),
        values=own.get(VALUES, {}),
        beat=own.get(BEAT),
        checks=tuple(Check.parse(check, "study") for check in own.get(CHECKS, ())),
        result=result,
        started=trial.datetime_start,
        ended=trial.datetime_complete,
    )
