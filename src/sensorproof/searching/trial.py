"""Train and score one point of the search space with one seed, fold after fold, unless it is stopped early."""

import math
import time
from collections.abc import Callable, Sequence
from statistics import fmean

from sensorproof.documents.search import ArmSettings, Check, LossPoint, TaskResult, ValidationScores
from sensorproof.errors import DivergedError
from sensorproof.experiment import RunSpec, new_model, train_model
from sensorproof.models import Segmenter, describe_model
from sensorproof.objectives.build import NO_REGULARIZATION
from sensorproof.searching.data import SearchData
from sensorproof.searching.pruning import place_rungs
from sensorproof.searching.scores import score_validation
from sensorproof.searching.silent import add_silent_failures
from sensorproof.searching.space import searched_arm
from sensorproof.settings import Settings
from sensorproof.training.loop import TrainingRun

Compare = Callable[[int, Check], bool]
"""Called at a rung with its number and the score; returns whether the trial goes on."""


class _StoppedError(Exception):
    """The trial is stopped early."""


class TrialRun:
    """One point with one seed.

    Args:
        chosen: what to train with.
        seed: of the training.
        folds: the data, each fold once.
        settings: length, batch size, device, rungs.
        compare: decides at each rung, or None to never stop early.
    """

    def __init__(
        self,
        chosen: ArmSettings,
        seed: int,
        folds: Sequence[SearchData],
        settings: Settings,
        compare: Compare | None = None,
    ) -> None:
        self._chosen, self._seed, self._settings = chosen, seed, settings
        self._folds = [data.standardized(chosen.standardize or {}) for data in folds]
        self._compare = compare
        steps = settings.search.steps
        self._rungs = place_rungs(steps, len(folds), settings.search.pruning) if compare else []
        self._scores: list[ValidationScores] = []
        self._checks: list[Check] = []
        self._runs: list[TrainingRun] = []
        self._steps = 0
        self._started = time.perf_counter()

    def __call__(self) -> TaskResult:
        """Return the result; a training that diverges is a failed trial."""
        try:
            for fold in range(len(self._folds)):
                self._run_fold(fold)
        except _StoppedError:
            return self._result("pruned", f"not among the best at step {self._steps}")
        except DivergedError as error:
            return self._result("failed", str(error))
        if not all(math.isfinite(figure) for own in self._scores for figure in (own.full, own.mean, own.worst)):
            return self._result("failed", "a score is not finite")
        return self._result("complete", "")

    def _run_fold(self, fold: int) -> None:
        data, steps = self._folds[fold], self._settings.search.steps
        spec = specify(self._settings, self._chosen, self._seed)
        model = new_model(spec, describe_model(spec.model, data.meta))
        before = self._steps
        rungs = {rung.step: place for place, rung in enumerate(self._rungs) if rung.fold == fold}

        def pause(step: int) -> None:
            self._steps = before + step
            scores = self._score(model, fold)
            self._judge(rungs[step], scores)

        def count(step: int, row: object) -> None:
            self._steps = before + step

        run = train_model(
            model, spec, data, progress=count, pauses=[step for step in rungs if step < steps], at_pause=pause
        )
        self._runs.append(run)
        self._steps = before + steps
        self._scores.append(self._score(model, fold))
        if steps in rungs:
            self._judge(rungs[steps], None)
        if self._settings.search.silent_failures:
            self._scores[-1] = add_silent_failures(self._scores[-1], model, data, self._settings.monitoring)

    def _score(self, model: Segmenter, fold: int) -> ValidationScores:
        train = self._settings.train
        return score_validation(
            model,
            self._folds[fold],
            seed=self._seed,
            fold=fold,
            device=train.device,
            batch_size=train.batch_size,
            fewest=self._settings.promotion.min_group_frames,
        )

    def _judge(self, place: int, scores: ValidationScores | None) -> None:
        """Compare the trial at a rung; `scores` are those of the fold that is under way."""
        known = [*self._scores, *([] if scores is None else [scores])]
        check = Check(steps=self._steps, score=fmean(own.selection_score for own in known))
        self._checks.append(check)
        if self._compare is not None and not self._compare(place, check):
            raise _StoppedError

    def _result(self, outcome: str, reason: str) -> TaskResult:
        losses = [LossPoint(step=int(row["step"]), loss=row["loss"]) for run in self._runs[:1] for row in run.history]
        return TaskResult.parse(
            {
                "outcome": outcome,
                "reason": reason,
                "steps": self._steps,
                "seconds": time.perf_counter() - self._started,
                "scores": [own.to_json() for own in self._scores],
                "checks": [own.to_json() for own in self._checks],
                "losses": [own.to_json() for own in losses],
            },
            "trial",
        )


def specify(settings: Settings, chosen: ArmSettings, seed: int) -> RunSpec:
    """Specify the training of a point with the arm that the search tunes."""
    train = chosen.apply(settings.train)
    return RunSpec(searched_arm(settings), seed, settings.search.steps, settings.model, train, chosen.regularizer)


def score_reference(folds: Sequence[SearchData], settings: Settings) -> tuple[ValidationScores, ...]:
    """Train the baseline on every fold with the first seed, for the limits that are relative to it.

    Raises:
        DivergedError: it diverges, which no other setting of the search would cure.
    """
    scores = []
    for fold, data in enumerate(folds):
        spec = RunSpec(
            "baseline", settings.search.seeds[0], settings.search.steps, settings.model, settings.train,
            NO_REGULARIZATION,
        )  # fmt: skip
        model = new_model(spec, describe_model(spec.model, data.meta))
        train_model(model, spec, data)
        own = score_validation(
            model,
            data,
            seed=spec.seed,
            fold=fold,
            device=settings.train.device,
            batch_size=settings.train.batch_size,
            fewest=settings.promotion.min_group_frames,
        )
        silent = settings.search.silent_failures
        scores.append(add_silent_failures(own, model, data, settings.monitoring) if silent else own)
    return tuple(scores)
