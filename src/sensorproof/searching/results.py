"""From finished tasks to trials, and from trials to the result of the search."""

from collections.abc import Mapping, Sequence

from sensorproof.documents.search import SearchResult, Trial, ValidationScores
from sensorproof.searching.choice import candidates, choose, pareto_front
from sensorproof.searching.scores import FIGURES, average, find_violations
from sensorproof.searching.space import to_settings
from sensorproof.searching.tasks import MOST_ATTEMPTS, Board, Task
from sensorproof.settings import Settings


def gather_trials(
    board: Board, reference: Sequence[ValidationScores], settings: Settings, seeds: Sequence[int] | None = None
) -> list[Trial]:
    """Return the trials that ended, each with its seeds, in order of their numbers.

    Args:
        board: the study.
        reference: the baseline's scores.
        settings: the space, the seeds and the limits.
        seeds: the seeds to count, the first one among them; None for all.
    """
    results, first = board.results(), settings.search.seeds[0]
    counted = [Task(task.trial, seed) for task in results for seed in seeds or settings.search.seeds]
    trials = [
        _gather(task, results.keys() & {own for own in counted if own.trial == task.trial}, board, reference, settings)
        for task in results
        if task.seed == first
    ]
    trials += [_give_up(task, settings) for task in board.hopeless() if task.seed == first]
    return sorted(trials, key=lambda trial: trial.number)


def _give_up(task: Task, settings: Settings) -> Trial:
    """Return a trial that too many workers died of."""
    return Trial(
        number=task.trial,
        origin="sampler",
        values={},
        regularizer=settings.regularizer,
        class_balance=settings.train.class_balance,
        learning_rate=settings.train.learning_rate,
        outcome="failed",
        reason=f"{MOST_ATTEMPTS} workers died of it",
        seeds=(),
        steps=0,
        seconds=0.0,
        full=None,
        mean=None,
        worst=None,
    )


def _gather(
    first: Task, tasks: set[Task], board: Board, reference: Sequence[ValidationScores], settings: Settings
) -> Trial:
    """Return one trial; a repetition that failed makes it a failed one."""
    own = board.results()
    ordered = [first, *sorted(tasks - {first})]
    results = [result for task in ordered if (result := own[task].result) is not None]
    failed = next((result for result in results if result.outcome == "failed"), None)
    outcome = "failed" if failed else results[0].outcome
    scores = [score for result in results for score in result.scores]
    ended = outcome == "complete"
    chosen = to_settings(own[first].values, settings)
    return Trial(
        number=first.trial,
        origin=own[first].origin,
        values=own[first].values,
        regularizer=chosen.regularizer,
        class_balance=chosen.class_balance,
        learning_rate=chosen.learning_rate,
        standardize=chosen.standardize,
        outcome=outcome,
        reason=failed.reason if failed else results[0].reason,
        seeds=tuple(task.seed for task in ordered) if ended else (),
        steps=sum(result.steps for result in results),
        seconds=sum(result.seconds for result in results),
        violations=find_violations(scores, reference, settings.promotion) if ended else {},
        checks=results[0].checks,
        losses=results[0].losses,
        **{figure: average(scores, figure) if ended else None for figure in FIGURES},
    )


def conclude(
    study: str,
    trials: Sequence[Trial],
    reference: Sequence[ValidationScores],
    folds: Sequence[Sequence[str]],
    importance: Mapping[str, Mapping[str, float]],
    settings: Settings,
) -> SearchResult:
    """Choose, and return the result.

    Args:
        study: its name.
        trials: all trials, in order.
        reference: the baseline's scores.
        folds: the sites on whose frames each fold is scored.
        importance: {score: {dimension: share of its variance}}.
        settings: the rule, and the length of the trainings.

    Raises:
        SensorproofError: no trial has ended with a score.
    """
    chosen = choose(trials, settings.search.choice)
    return SearchResult(
        study=study,
        trials=tuple(trials),
        best=chosen.regularizer,
        chosen=chosen.number,
        front=tuple(trial.number for trial in pareto_front(candidates(trials))),
        choice=settings.search.choice,
        reference=tuple(reference),
        folds=tuple(tuple(sites) for sites in folds),
        importance={score: dict(shares) for score, shares in importance.items()},
        steps=settings.search.steps,
    )
