"""The section `data`: where the batches are and how they become tensors."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, model_validator

from sensorproof.errors import SettingsError
from sensorproof.settings.strict_model import Fraction, StrictModel

Standardization = Literal["dataset", "frame"]
"""By the mean and deviation of the training pixels, or of the frame's own pixels."""


class SplitSettings(StrictModel):
    """How whole sequences, or whole sites, go to train, val and test."""

    val: Fraction
    test: Fraction
    seed: NonNegativeInt

    @model_validator(mode="after")
    def _leaves_training_data(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test:g}, which leaves nothing to train on")
        return self


class DataSettings(StrictModel):
    """Where the batches are and how they become tensors."""

    raw: str
    inbox: str
    quarantine: str
    size: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(min_length=2, max_length=2)]
    """Height and width in pixels at which models train and are scored."""
    standardize: Standardization | dict[str, Standardization]
    """How a model's inputs are standardised: all alike, or {sensor: how}, where the sensors not named are `dataset`."""
    full_resolution: bool
    """Keep training and validation frames at their own resolution as well, to train on crops of them."""
    split: SplitSettings

    def standardization(self, sensors: Iterable[str]) -> dict[str, Standardization]:
        """Return how each sensor is standardised.

        Raises:
            SettingsError: `standardize` names others.
        """
        names, given = sorted(sensors), self.standardize
        if isinstance(given, dict):
            check_sensors("data.standardize", given, names)
        return {name: self.standardization_of(name) for name in names}

    def standardization_of(self, sensor: str) -> Standardization:
        """Return how one sensor is standardised."""
        given = self.standardize
        return given.get(sensor, "dataset") if isinstance(given, dict) else given


def check_sensors(key: str, named: Iterable[str], sensors: Iterable[str]) -> None:
    """Check that a setting names sensors of the batches alone.

    Raises:
        SettingsError: it names others.
    """
    known = sorted(sensors)
    if unknown := sorted(set(named) - set(known)):
        fault = f"{key}: names {', '.join(unknown)}, which no batch has"
        raise SettingsError("params.yaml", fault, f"name some of {', '.join(known)}")
