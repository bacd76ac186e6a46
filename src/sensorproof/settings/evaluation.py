"""The sections `evaluate`, `report`, `promotion` and `compare`: how models are scored, shown, promoted and compared."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from sensorproof.errors import SettingsError
from sensorproof.settings.strict_model import Seeds, StrictModel, distinct
from sensorproof.settings.training import Arm

Protocol = Literal["emm", "rmm", "nm", "degradations"]
Probability = Annotated[float, Field(ge=0, lt=1)]


class EvaluateSettings(StrictModel):
    """How models are scored."""

    batch_size: PositiveInt
    window: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(min_length=2, max_length=2)] | None
    """Height and width in pixels of the windows that models are scored in; None for whole images."""
    overlap: Annotated[float, Field(ge=0, lt=1)]
    """Share of a window's side that neighbours have in common at least."""
    confidence: Annotated[float, Field(gt=0, lt=1)]
    protocols: Annotated[list[Protocol], AfterValidator(distinct)]
    """Tried on baseline and candidate, every seed; see `documents.protocols`."""
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1), AfterValidator(distinct)]
    """Of the degradations."""
    failure_probability: Probability | dict[str, Probability]
    """Of the failure of each sensor, for the expected score: one for all, or {sensor: its own}."""
    specialists: bool
    """Whether to train a plain model for every subset, as reference: 2^M - 2 more trainings for each seed."""

    def probabilities(self, sensors: Iterable[str]) -> dict[str, float]:
        """Return the probability of each sensor's failure.

        Raises:
            SettingsError: `failure_probability` does not name each of the sensors, or names others.
        """
        names, given = sorted(sensors), self.failure_probability
        if not isinstance(given, dict):
            return dict.fromkeys(names, given)
        if wrong := sorted(set(names) ^ set(given)):
            fault = f"evaluate.failure_probability: wrong or missing: {', '.join(wrong)}"
            raise SettingsError("params.yaml", fault, f"give one number, or one for each of {', '.join(names)}")
        return {name: given[name] for name in names}


class PilotSettings(StrictModel):
    """What the pilot checklist asks for before a field test, beside the gates of `promotion`."""

    min_test_frames: PositiveInt
    min_test_sites: PositiveInt
    """Sites that no training frame comes from."""
    min_seeds: PositiveInt
    """Trainings of each arm."""
    max_shortfall: NonNegativeFloat
    """Points that the monitored score may lie below the better of declaring a sensor absent and believing it."""
    max_calibration_error: Annotated[float, Field(ge=0, le=1)]
    """Expected calibration error of the candidate with any single sensor missing."""


class ReportSettings(StrictModel):
    """What the page shows."""

    language: Literal["en", "ja"]
    examples: Annotated[int, Field(ge=0, le=24)]
    """Test frames that are drawn with the predictions of every arm."""
    pilot: PilotSettings


class PromotionSettings(StrictModel):
    """The gates a candidate must pass to become champion. Points are mIoU points, 0 to 100."""

    candidate: Arm
    mode: Literal["auto", "approve"]
    """Whether a candidate that passes becomes champion at once, or waits for `sensorproof registry approve`."""
    notify: Annotated[str, Field(pattern=r"^https?://")] | None
    """Address of a webhook that is told when a candidate waits for approval."""
    resamples: Annotated[int, Field(ge=100)]
    """Draws of the bootstrap."""
    min_gain_baseline: float
    """The lower end of the interval of the gain over the baseline, in the mean over the subsets, must exceed this."""
    min_gain_champion: float
    """The same over the champion, where there is one."""
    max_loss_full: NonNegativeFloat
    """With all sensors, the score may lie at most this much below the champion's, or the baseline's where none is."""
    min_worst: Annotated[float, Field(ge=0, le=100)]
    """The score of the worst subset must reach this."""
    max_loss_class: NonNegativeFloat
    """No class may lose more than this in the mean over the subsets."""
    max_loss_site: NonNegativeFloat
    """No site may lose more than this."""
    max_loss_condition: NonNegativeFloat
    """No condition may lose more than this."""
    max_loss_silent: NonNegativeFloat
    """While a sensor fails silently, it may lose this against the champion, averaged over sensors and failures."""
    max_false_alarms: Annotated[float, Field(ge=0, le=1)]
    """The monitor may leave out this share of the images of sound sensors."""
    min_group_frames: PositiveInt
    """A class, site or condition with fewer test frames is not judged by itself."""
    max_time_ratio: PositiveFloat
    """One frame may take at most this multiple of the champion's time."""


class BenchmarkDataset(StrictModel):
    """One data set that `sensorproof compare` trains every arm on."""

    name: str
    raw: str
    size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    batch_size: PositiveInt
    steps: PositiveInt
    learning_rate: PositiveFloat
    seeds: Annotated[Seeds, Field(min_length=2)]
    tuning_seeds: Seeds
    """Each strength is tried with all of them, and judged by the mean."""


class CompareSettings(StrictModel):
    """`sensorproof compare`: every arm on every data set, each arm tuned on validation data with the same budget."""

    datasets: Annotated[list[BenchmarkDataset], Field(min_length=1)]
    tuning_fraction: Annotated[float, Field(gt=0, le=1)]
    """Of the steps of a set: how long each strength is tried."""
    strengths: dict[Arm, Annotated[list[NonNegativeFloat], Field(min_length=1)]]
    """What each arm may choose its strength from; the baseline has none."""

    @model_validator(mode="after")
    def _same_budget(self) -> Self:
        if wrong := sorted(set(self.strengths) ^ (set(get_args(Arm)) - {"baseline"})):
            raise ValueError(
                f"strengths must name every arm but the baseline once; wrong or missing: {', '.join(wrong)}"
            )
        if len({len(choices) for choices in self.strengths.values()}) > 1:
            raise ValueError("every arm needs as many strengths as the others: the same tuning budget")
        if max(self.strengths["modality_dropout"]) > 1:
            raise ValueError("the strengths of modality_dropout are probabilities, 0 to 1")
        return self
