"""params.yaml, read once into frozen typed settings. Every fault in the file is reported in one message."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sensorproof.errors import SensorproofError, SettingsError
from sensorproof.files import hash_json, parse_yaml

Model = TypeVar("Model", bound=BaseModel)
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]

Arm = Literal[
    "baseline",
    "regularized",
    "default",
    "modality_dropout",
    "random_subset",
    "single_modality",
    "ogm_ge",
    "agm",
]
Scale = Literal["prediction", "stage1", "stage2", "stage3", "stage4"]


class Section(BaseModel):
    """A part of params.yaml: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SplitSettings(Section):
    """How whole sequences, or whole sites, go to train, val and test."""

    val: Fraction
    test: Fraction
    seed: Seed

    @model_validator(mode="after")
    def leaves_training_data(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test:g}, which leaves nothing to train on")
        return self


class DataSettings(Section):
    """Where the batches are and how they become tensors."""

    raw: str
    inbox: str
    quarantine: str
    size: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(min_length=2, max_length=2)]
    """Height and width in pixels at which models train and are scored."""
    split: SplitSettings


class ModelSettings(Section):
    """The segmentation network."""

    backbone: Literal["tiny", "mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"]
    decoder_channels: Count
    pretrained: str | None
    """A local folder with a SegFormer checkpoint (config.json, model.safetensors), or null."""


class TrainSettings(Section):
    """The training loop, the same for every arm."""

    arms: Annotated[list[Arm], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    steps: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NonNegative
    warmup: Fraction
    """Share of the steps over which the learning rate rises from zero."""
    mixed_precision: bool
    flip: bool
    """Mirror half of the training samples left to right."""
    checkpoint_every: Count

    @model_validator(mode="after")
    def no_duplicates(self) -> Self:
        if len(set(self.arms)) != len(self.arms) or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("arms and seeds must not repeat")
        return self


class RegularizerSettings(Section):
    """Functional entropy regularisation; see docs/regularization.md."""

    strength: NonNegative
    scales: Annotated[list[Scale], Field(min_length=1)]
    form: Literal["single", "paper", "gat"]
    """Each sensor's own prediction; arXiv 2505.06635; Gat et al., NeurIPS 2020."""
    estimator: Literal["exact", "first_order"]
    sigma: Positive
    """Standard deviation of the perturbation, as a multiple of each sensor's own standard deviation."""
    fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of each training batch on which the term is computed."""
    every: Count
    """Apply the term at every k-th step, its weight times k."""
    weigh: bool
    """Scale each sensor's term by its measured usefulness."""


class SearchSettings(Section):
    """The Optuna search over the regulariser, on validation data."""

    trials: Annotated[int, Field(ge=0)]
    """How many trials; 0 takes `regularizer` as it is."""
    steps: Count
    strength: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    """Lowest and highest strength, searched on a logarithmic scale."""
    scales: Annotated[list[Annotated[list[Scale], Field(min_length=1)]], Field(min_length=1)]
    """The sets of scales to choose from."""
    seed: Seed

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if self.strength[0] >= self.strength[1]:
            raise ValueError("strength must be [lowest, highest]")
        return self


class EvaluateSettings(Section):
    """How models are scored."""

    batch_size: Count
    confidence: Annotated[float, Field(gt=0, lt=1)]


class ReportSettings(Section):
    """What the page shows."""

    examples: Annotated[int, Field(ge=0, le=24)]
    """Test frames that are drawn with the predictions of every arm."""


class RegisterSettings(Section):
    """The gates a candidate must pass to become champion. Points are mIoU points, 0 to 100."""

    candidate: Arm
    min_gain_mean: float
    """The lower end of the interval of the gain in mean mIoU must reach this."""
    max_loss_full: NonNegative
    """The full-sensor score may fall by at most this."""
    max_loss_champion: NonNegative
    """On the present test split, the mean may lie below the champion's by at most this."""


class PairTime(Section):
    """The time tolerance of one sensor against the reference: given outright, or from the motion it allows."""

    tolerance_s: Positive | None = None
    tolerated_px: Positive | None = None
    """Image motion accepted between the two exposures; with range_m and speed_m_s it gives the tolerance."""
    range_m: Positive | None = None
    speed_m_s: Positive | None = None

    @model_validator(mode="after")
    def is_whole(self) -> Self:
        physical = (self.tolerated_px, self.range_m, self.speed_m_s)
        if (self.tolerance_s is None) == (None in physical):
            raise ValueError("give either tolerance_s, or all of tolerated_px, range_m and speed_m_s")
        return self


class TimeChecks(Section):
    """When the frames of a pair count as taken at the same time."""

    pairs: dict[str, PairTime]
    """By sensor; a sensor that is not named keeps the batch's own max_time_offset_s."""
    warn: Annotated[float, Field(gt=0, le=1)]
    """Share of the tolerance from which a clock's offset, drift or jitter is worth a warning."""


class CalibrationChecks(Section):
    """What makes a calibration usable."""

    max_age_days: Positive
    rigid_error: Positive
    """Largest entry by which R^T R, T_ab T_ba or a loop may differ from the identity."""


class ContentChecks(Section):
    """Registration of a sensor's image to the reference's; see docs/alignment.md."""

    grid: Annotated[int, Field(ge=3, le=9)]
    tile: Annotated[int, Field(ge=32, le=1024)]
    """Largest side of a tile in pixels."""
    reliability: Annotated[float, Field(gt=0, lt=100)]
    """Below this a tile, a frame or a pair is unmeasurable."""
    min_coverage: Fraction
    """Share of reliable tiles from which scale and rotation are measured, not the shift alone."""
    warn_px: Positive
    critical_px: Positive
    """Corner residual in pixels of the label."""
    margin_px: NonNegative
    """The measure's own error, taken off critical_px so that a fault of just that size is found."""

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if not self.warn_px <= self.critical_px - self.margin_px:
            raise ValueError("warn_px must not exceed critical_px - margin_px")
        return self


class HealthChecks(Section):
    """When a frame shows nothing of use. Shares are of the frame's pixels."""

    blank_contrast: Fraction
    """Highest less lowest value, as a share of the sensor's range, up to which a frame or tile is blank."""
    blank_tiles: Fraction
    """Share of tiles, blank in this frame and seldom in others, from which the frame is quarantined."""
    saturated_warn: Fraction
    saturated: Fraction
    invalid: Fraction
    invalid_excess: Fraction
    """Invalid share above the sensor's own median."""
    dead_lines: Fraction
    """Share of rows or columns that are stuck at one value, above the sensor's own median."""
    frozen_change: NonNegative
    """Mean change from the frame before, in standard deviations of the image, up to which it is the same."""
    moved_change: Positive
    """Change of another sensor from which the scene has moved."""


class LabelChecks(Section):
    """What a label must have."""

    min_coverage: Fraction
    """Share of pixels that are not ignored, below which a label is worth a warning."""


class DriftChecks(Section):
    """When a new batch differs from the training data."""

    auc: Annotated[float, Field(gt=0.5, le=1)]
    """Area under the curve of the classifier two-sample test, from which the batch has drifted."""
    severity: Literal["warning", "critical"]
    max_frames: Annotated[int, Field(ge=10)]


class ValidateSettings(Section):
    """Which frames may be trained on, and which batches."""

    time: TimeChecks
    calibration: CalibrationChecks
    content: ContentChecks
    health: HealthChecks
    labels: LabelChecks
    drift: DriftChecks
    max_quarantined: Fraction
    """Share of quarantined frames above which the whole batch is refused."""
    contact_sheet_frames: Annotated[int, Field(ge=0, le=100)]
    """Frames a sensor drawn on the contact sheet, the worst first."""


class ComparedSet(Section):
    """One data set that `sensorproof compare` trains every arm on."""

    name: str
    raw: str
    size: Annotated[list[Count], Field(min_length=2, max_length=2)]
    batch_size: Count


class CompareSettings(Section):
    """`sensorproof compare`: every arm on every data set, each arm tuned on validation data with the same budget."""

    sets: Annotated[list[ComparedSet], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=2)]
    steps: Count
    tuning_steps: Count
    tuning_seed: Seed
    strengths: dict[Arm, Annotated[list[NonNegative], Field(min_length=1)]]
    """What each arm may choose its strength from; an arm that is not named has none."""

    @model_validator(mode="after")
    def same_budget(self) -> Self:
        if len({len(choices) for choices in self.strengths.values()}) > 1:
            raise ValueError("every arm needs as many strengths as the others: the same tuning budget")
        return self


class Settings(Section):
    """The whole of params.yaml."""

    data: DataSettings
    model: ModelSettings
    train: TrainSettings
    regularizer: RegularizerSettings
    search: SearchSettings
    evaluate: EvaluateSettings
    report: ReportSettings
    compare: CompareSettings
    register_: Annotated[RegisterSettings, Field(alias="register")]
    validate_: Annotated[ValidateSettings, Field(alias="validate")]

    @model_validator(mode="after")
    def compares_arms_that_train(self) -> Self:
        if missing := sorted({"baseline", self.register_.candidate} - set(self.train.arms)):
            raise ValueError(f"train.arms lacks {missing}: the gain of register.candidate is over the baseline")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of all settings: the `params.hash` tag."""
        return hash_json(self.model_dump(by_alias=True))


def load_settings(path: Path = Path("params.yaml")) -> Settings:
    """Read and check params.yaml.

    Raises:
        SettingsError: the file is missing or not YAML, or keys are unknown, missing, of the wrong type or out
            of range; all of them are named in the one message.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(path, "is missing", "run inside a Sensorproof project") from error
    except (OSError, ValueError) as error:
        raise SettingsError(path, f"is not YAML ({error})", "mend its syntax") from error
    return parse_settings(document, str(path))


def parse_settings(document: Any, where: str = "params.yaml") -> Settings:
    """Check a params document that has already been read; see load_settings."""
    return checked(Settings, document, where, SettingsError)


def checked(model: type[Model], document: Any, where: str | Path, error: type[SensorproofError]) -> Model:
    """Check a document that was read from YAML against a model; raise `error`, which names every faulty key."""
    try:
        # As JSON, because there a strict model takes a list for a tuple and text for a date.
        return model.model_validate_json(json.dumps(document, default=str))
    except TypeError as fault:
        raise error(where, f"has a key that is no text ({fault})", "mend these keys") from fault
    except ValidationError as found:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'document'}: {describe(e)}" for e in found.errors()]
        raise error(where, "; ".join(faults), "mend these keys") from found


def describe(error: Any) -> str:
    """Say one pydantic fault in a few words, with the offending value."""
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    said = str(error["msg"]).removeprefix("Value error, ")
    # A fault between keys already says what is wrong; the whole section after it would say nothing more.
    return said if isinstance(error["input"], dict) else f"{said}, got {error['input']!r:.80}"
