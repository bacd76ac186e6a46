"""artifacts/search: the trials of the search, and what every arm is trained with."""

from typing import Literal

from pydantic import Field

from sensorproof.documents.base import Document
from sensorproof.documents.optional import OmitsNone
from sensorproof.settings import ChoiceSettings, RegularizerSettings, TrainSettings
from sensorproof.settings.data import Standardization

Values = dict[str, float | str]
"""{dimension of the search space: value}."""
Outcome = Literal["complete", "pruned", "failed"]


class ValidationScores(Document):
    """The scores of one training on the validation frames of one fold, in points."""

    seed: int
    fold: int
    full: float
    mean: float
    worst: float
    classes: dict[str, float]
    """{class: mean over the subsets}; the same for sites and conditions."""
    sites: dict[str, float]
    conditions: dict[str, float]
    silent: float | None = None
    """With a monitor, while a sensor fails silently: the mean over sensors and failures. None where not tried."""
    false_alarms: float | None = None
    """Share of the images of sound sensors that the monitor leaves out."""

    @property
    def selection_score(self) -> float:
        """The mean of `full` and `mean`, by which poor trials are stopped."""
        return (self.full + self.mean) / 2


class Check(Document):
    """A score during a trial, by which it may be stopped."""

    steps: int
    """Training steps of the trial so far, over all its folds."""
    score: float
    """Selection score on the validation frames, averaged over the folds so far."""


class LossPoint(Document):
    """The training loss at one step."""

    step: int
    loss: float


class TaskResult(Document):
    """What one worker found out with one seed: a trial, or a repetition of one with another seed."""

    outcome: Outcome
    reason: str = ""
    """Why it was stopped or failed."""
    steps: int
    """Training steps spent."""
    seconds: float
    scores: tuple[ValidationScores, ...] = ()
    """One for each fold; fewer if it did not end."""
    checks: tuple[Check, ...] = ()
    losses: tuple[LossPoint, ...] = ()
    """Of the first fold."""


class Trial(OmitsNone):
    """One trial with all its seeds. `full`, `mean` and `worst` are means over seeds and folds, in points."""

    number: int
    """Counted from 0."""
    origin: str
    """Where its values come from: the sampler, params.yaml, the champion or an earlier study."""
    values: Values
    regularizer: RegularizerSettings
    class_balance: float
    learning_rate: float
    standardize: dict[str, Standardization] | None = None
    """{sensor: how its inputs are standardised}, of the sensors for which that is searched."""
    outcome: Outcome
    reason: str = ""
    seeds: tuple[int, ...]
    """The seeds that it was trained with to the end."""
    steps: int
    seconds: float
    full: float | None
    mean: float | None
    worst: float | None
    violations: dict[str, float] = Field(default_factory=dict)
    """{gate: points beyond its limit}; above 0, promotion would refuse it."""
    checks: tuple[Check, ...] = ()
    losses: tuple[LossPoint, ...] = ()

    @property
    def is_feasible(self) -> bool:
        """Whether it ended, and keeps every limit."""
        return self.outcome == "complete" and all(value <= 0 for value in self.violations.values())

    @property
    def settings(self) -> "ArmSettings":
        """What the trial was trained with."""
        return ArmSettings(
            regularizer=self.regularizer,
            class_balance=self.class_balance,
            learning_rate=self.learning_rate,
            standardize=self.standardize,
        )


class SearchResult(Document):
    """artifacts/search/trials.json."""

    study: str = ""
    """Its name in the storage."""
    trials: tuple[Trial, ...]
    best: RegularizerSettings
    """What the regularised arms are trained with."""
    chosen: int | None = None
    """Number of the trial that `best` comes from; None without a search."""
    front: tuple[int, ...] = ()
    """Numbers of the trials that no other beats in both scores, from the best `full` to the best `mean`."""
    choice: ChoiceSettings | None = None
    reference: tuple[ValidationScores, ...] = ()
    """Of the baseline, one for each fold; the limits are measured against it."""
    folds: tuple[tuple[str, ...], ...] = ()
    """The sites on whose frames each fold is scored."""
    importance: dict[str, dict[str, float]] = Field(default_factory=dict)
    """{score: {dimension: share}} of the score's variance over the trials (fANOVA, Hutter et al., ICML 2014)."""
    steps: int = 0
    """Of each training; a trial has one for each fold and seed."""

    @property
    def chosen_trial(self) -> Trial | None:
        """The trial that `best` comes from; None without a search."""
        return next((trial for trial in self.trials if trial.number == self.chosen), None)


class ArmSettings(OmitsNone):
    """artifacts/search/arms/<arm>.json: what an arm is trained with besides the section `train`."""

    regularizer: RegularizerSettings
    class_balance: float
    learning_rate: float
    standardize: dict[str, Standardization] | None = None
    """{sensor: how its inputs are standardised}; sensors not named, or all for None: as in the prepared data."""
    fine_tuning_steps: int | None = None
    """Train so many steps, from the weights in artifacts/champion; None for a new model."""
    skipped: str | None = None
    """Why the arm is not trained."""

    def apply(self, train: TrainSettings) -> TrainSettings:
        """Return the section `train` with these settings in place of its own."""
        return train.model_copy(update={"class_balance": self.class_balance, "learning_rate": self.learning_rate})
