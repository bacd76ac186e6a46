"""The section `search`: which settings are tried, for how long, and which of them is chosen."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from sensorproof.settings.data import Standardization
from sensorproof.settings.strict_model import Fraction, Seeds, StrictModel, distinct
from sensorproof.settings.training import Scale


def _ordered(ends: list[float]) -> list[float]:
    """Refuse an interval that holds no value, or only one: a single value is fixed, not searched."""
    if ends[0] >= ends[1]:
        raise ValueError("must be [lowest, highest]")
    return ends


_Ends = Field(min_length=2, max_length=2)
LogRange = Annotated[list[PositiveFloat], _Ends, AfterValidator(_ordered)]
"""Lowest and highest value, searched on a logarithmic scale."""
FractionRange = Annotated[list[Fraction], _Ends, AfterValidator(_ordered)]
"""Lowest and highest value within 0 and 1."""
ScaleSet = Annotated[list[Scale], Field(min_length=1), AfterValidator(distinct)]
Standardizations = Annotated[list[Standardization], Field(min_length=1), AfterValidator(distinct)]


class SpaceSettings(StrictModel):
    """What the trials may differ in. What has one choice, or is null, is the same in all of them."""

    strength: Annotated[dict[Scale, LogRange], Field(min_length=1)]
    """{scale: its strengths}; each scale has its own."""
    scales: Annotated[list[ScaleSet], Field(min_length=1)]
    """The sets of scales to choose from."""
    variant: Annotated[list[Literal["single", "paper", "gat"]], Field(min_length=1), AfterValidator(distinct)]
    estimator: Annotated[list[Literal["exact", "first_order"]], Field(min_length=1), AfterValidator(distinct)]
    modality_dropout: FractionRange | None
    """None: as in `regularizer`."""
    class_balance: FractionRange | None
    """None: as in `train`."""
    learning_rate: LogRange | None
    """None: as in `train`."""
    standardize: Annotated[dict[str, Standardizations], Field(min_length=1)] | None
    """{sensor: the choices for its inputs}; sensors not named, or all for None: as in `data`."""

    @model_validator(mode="after")
    def _has_strengths(self) -> Self:
        names = {scale for scales in self.scales for scale in scales}
        if missing := sorted(names - set(self.strength)):
            raise ValueError(f"strength lacks {missing}, which scales names")
        if unused := sorted(set(self.strength) - names):
            raise ValueError(f"strength has {unused}, which no set of scales names")
        if len({frozenset(scales) for scales in self.scales}) < len(self.scales):
            raise ValueError("scales must not repeat a set")
        return self


class ChoiceSettings(StrictModel):
    """The rule by which one trial is chosen from the Pareto front."""

    maximize: Literal["mean", "full"]
    """The mean over the subsets, or the score with all sensors."""
    tolerance: NonNegativeFloat
    """Points that the other score may lie below the best one of any trial."""


class PruningSettings(StrictModel):
    """Asynchronous successive halving (Li et al., MLSys 2020) on validation scores during a trial."""

    first: Annotated[float, Field(gt=0, le=1)]
    """Share of a training after which a trial is first compared; 1 stops no trial early."""
    reduction: Annotated[int, Field(ge=2)]
    """One of so many trials goes on, and is compared again after so many times the steps."""


class SearchSettings(StrictModel):
    """The Optuna search, on validation data alone."""

    enabled: bool
    """Whether to search; otherwise `regularizer` and `train` are used as they are."""
    trials: PositiveInt | None
    """Number of trials, or null if `minutes` limits them."""
    minutes: PositiveFloat | None
    """Minutes after which no trial is started, or null if `trials` limits them."""
    steps: PositiveInt
    """Of each training."""
    space: SpaceSettings
    folds: Annotated[int, Field(ge=1, le=20)]
    """Each trial is scored on so many parts of the sites of training and validation; 1: on the validation split."""
    seeds: Seeds
    """The first one trains every trial, and seeds the sampler; all of them train those that are close to the best."""
    close: NonNegativeFloat
    """Points below the chosen trial up to which a trial is close."""
    choice: ChoiceSettings
    pruning: PruningSettings
    silent_failures: bool
    """Whether trials are also held to the limits of silent failures; each that ends is then tried with them."""
    warm_start: Annotated[list[Literal["champion", "studies"]], AfterValidator(distinct)]
    """Whose settings are tried first, besides those of params.yaml."""
    workers: PositiveInt
    """Processes that share the trials and the cores of this machine."""
    storage: Annotated[str, Field(pattern=r"^(postgresql|mysql|sqlite)(\+\w+)?://")] | None
    """Address of a database that workers on other machines can reach, or null for a journal in artifacts/studies."""

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        if (self.trials is None) == (self.minutes is None):
            raise ValueError("give either trials or minutes, and null for the other")
        return self
