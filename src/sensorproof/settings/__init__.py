"""params.yaml, read once into frozen typed settings. Every fault in the file is reported in one message."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from sensorproof.errors import SettingsError
from sensorproof.files import hash_json, parse_yaml
from sensorproof.settings.sections import (
    Count,
    Fraction,
    NonNegative,
    Positive,
    Section,
    Seed,
    Seeds,
    checked,
    describe,
    distinct,
)
from sensorproof.settings.validation import (
    CalibrationChecks,
    ContentChecks,
    DriftChecks,
    HealthChecks,
    LabelChecks,
    PairTime,
    TimeChecks,
    ValidateSettings,
)

__all__ = [
    "Arm",
    "CalibrationChecks",
    "CompareSettings",
    "ComparedSet",
    "ContentChecks",
    "Count",
    "DataSettings",
    "DriftChecks",
    "EvaluateSettings",
    "Fraction",
    "HealthChecks",
    "LabelChecks",
    "ModelSettings",
    "NonNegative",
    "PairTime",
    "Positive",
    "RegisterSettings",
    "RegularizerSettings",
    "ReportSettings",
    "Scale",
    "Scales",
    "SearchSettings",
    "Section",
    "Seed",
    "Settings",
    "SplitSettings",
    "TimeChecks",
    "TrainSettings",
    "ValidateSettings",
    "checked",
    "describe",
    "load_settings",
    "name_scales",
    "parse_settings",
]

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
Scales = Annotated[
    Annotated[list[Scale], Field(min_length=1), Tag("list")]
    | Annotated[dict[Scale, Positive], Field(min_length=1), Tag("factors")],
    Discriminator(lambda value: "factors" if isinstance(value, dict) else "list"),
]


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

    arms: Annotated[list[Arm], Field(min_length=1), AfterValidator(distinct)]
    seeds: Seeds
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
    class_balance: Fraction
    """Of every arm's cross-entropies: 0 weighs the pixels of a sample alike, 1 its classes."""
    checkpoint_every: Count


def name_scales(scales: list[Scale] | dict[Scale, float]) -> str:
    """`prediction+stage4`, or `prediction+0.3 stage4` where scales have factors of their own."""
    factors = scales if isinstance(scales, dict) else dict.fromkeys(scales, 1.0)
    return "+".join(scale if factor == 1 else f"{factor:g} {scale}" for scale, factor in factors.items())


class RegularizerSettings(Section):
    """Functional entropy regularisation; see docs/regularization.md."""

    strength: NonNegative
    scales: Scales
    """A list, all of the one strength, or {scale: factor of the strength}."""
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

    @property
    def strengths(self) -> dict[str, float]:
        """{scale: strength}."""
        factors = self.scales if isinstance(self.scales, dict) else dict.fromkeys(self.scales, 1.0)
        return {scale: self.strength * factor for scale, factor in factors.items()}


class SearchSettings(Section):
    """The Optuna search over the regulariser, on validation data."""

    trials: Annotated[int, Field(ge=0)]
    """How many trials; 0 takes `regularizer` as it is."""
    steps: Count
    strength: Annotated[list[Positive], Field(min_length=2, max_length=2)]
    """Lowest and highest strength, searched on a logarithmic scale."""
    scales: Annotated[list[Scales], Field(min_length=1)]
    """The sets of scales to choose from."""
    seeds: Seeds
    """Each trial trains with all of them, and is judged by the mean; the first seeds the sampler too."""

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


class ComparedSet(Section):
    """One data set that `sensorproof compare` trains every arm on."""

    name: str
    raw: str
    size: Annotated[list[Count], Field(min_length=2, max_length=2)]
    batch_size: Count
    steps: Count
    learning_rate: Positive
    seeds: Annotated[Seeds, Field(min_length=2)]
    tuning_seeds: Seeds
    """Each strength is tried with all of them, and judged by the mean."""


class CompareSettings(Section):
    """`sensorproof compare`: every arm on every data set, each arm tuned on validation data with the same budget."""

    sets: Annotated[list[ComparedSet], Field(min_length=1)]
    tuning_share: Annotated[float, Field(gt=0, le=1)]
    """Of the steps of a set: how long each strength is tried."""
    strengths: dict[Arm, Annotated[list[NonNegative], Field(min_length=1)]]
    """What each arm may choose its strength from; the baseline has none."""

    @model_validator(mode="after")
    def same_budget(self) -> Self:
        if wrong := sorted(set(self.strengths) ^ (set(get_args(Arm)) - {"baseline"})):
            raise ValueError(
                f"strengths must name every arm but the baseline once; wrong or missing: {', '.join(wrong)}"
            )
        if len({len(choices) for choices in self.strengths.values()}) > 1:
            raise ValueError("every arm needs as many strengths as the others: the same tuning budget")
        if max(self.strengths["modality_dropout"]) > 1:
            raise ValueError("the strengths of modality_dropout are probabilities, 0 to 1")
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
