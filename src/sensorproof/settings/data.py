"""The section `data`: where the batches are and how they become tensors."""

from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, model_validator

from sensorproof.settings.strict_model import Fraction, StrictModel


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
    split: SplitSettings
