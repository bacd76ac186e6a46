"""The section `retraining`: what is trained when data or settings have changed."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from sensorproof.settings.strict_model import StrictModel


class FineTuneSettings(StrictModel):
    """How the candidate is fine-tuned; in all else it is trained as the champion was."""

    steps: PositiveInt
    learning_rate: PositiveFloat
    """The highest; warm-up and decay are those of `train`."""


class RetrainingSettings(StrictModel):
    """All arms from scratch, or the candidate alone."""

    mode: Literal["all", "fine_tune"]
    """`fine_tune`: the candidate alone, from the champion's weights; search and other arms are skipped."""
    fine_tune: FineTuneSettings
