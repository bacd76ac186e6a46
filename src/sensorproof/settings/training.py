"""The sections `model`, `train`, `monitoring` and `regularizer`: what a training is made of."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Tag,
)

from sensorproof.settings.strict_model import Fraction, Seeds, StrictModel, distinct

Arm = Literal[
    "baseline",
    "regularized",
    "regularized_dropout",
    "modality_dropout",
    "random_subset",
    "single_modality",
    "ogm_ge",
    "agm",
]
Scale = Literal["prediction", "stage1", "stage2", "stage3", "stage4"]
Scales = Annotated[
    Annotated[list[Scale], Field(min_length=1), Tag("list")]
    | Annotated[dict[Scale, PositiveFloat], Field(min_length=1), Tag("factors")],
    Discriminator(lambda value: "factors" if isinstance(value, dict) else "list"),
]


class ModelSettings(StrictModel):
    """The segmentation network."""

    backbone: Literal["tiny", "mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"]
    decoder_channels: PositiveInt
    pretrained: str | None
    """A local folder with a SegFormer checkpoint (config.json, model.safetensors), or null."""


class TrainSettings(StrictModel):
    """The training loop, the same for every arm."""

    arms: Annotated[list[Arm], Field(min_length=1), AfterValidator(distinct)]
    seeds: Seeds
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_fraction: Fraction
    """Share of the steps over which the learning rate rises from zero."""
    mixed_precision: bool
    horizontal_flip: bool
    """Mirror half of the training samples left to right."""
    class_balance: Fraction
    """Of every arm's cross-entropy: 0 weights the pixels of a sample equally, 1 its classes."""
    checkpoint_every: PositiveInt


def name_scales(scales: list[Scale] | dict[Scale, float]) -> str:
    """Name scales: `prediction+stage4`, or `prediction+0.3 stage4` where they have factors of their own."""
    factors = scales if isinstance(scales, dict) else dict.fromkeys(scales, 1.0)
    return "+".join(scale if factor == 1 else f"{factor:g} {scale}" for scale, factor in factors.items())


class RegularizerSettings(StrictModel):
    """Functional entropy regularisation; see docs/explanation/method.md."""

    strength: NonNegativeFloat
    scales: Scales
    """A list of scales that share the strength, or {scale: factor of the strength}."""
    variant: Literal["single", "paper", "gat"]
    """f of each sensor's own prediction; of arXiv 2505.06635; of Gat et al., NeurIPS 2020."""
    estimator: Literal["exact", "first_order"]
    sigma: PositiveFloat
    """Standard deviation of the perturbation, as a multiple of each sensor's own standard deviation."""
    batch_fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of each training batch on which the term is computed."""
    every_n_steps: PositiveInt
    """Apply the term at every n-th step, with n times the weight."""
    relevance_weighting: bool
    """Weight each sensor's term by its measured relevance."""
    modality_dropout: Fraction
    """Probability that the fused prediction lacks a sensor in training; each sample keeps at least one."""

    @property
    def strengths(self) -> dict[str, float]:
        """{scale: strength}."""
        factors = self.scales if isinstance(self.scales, dict) else dict.fromkeys(self.scales, 1.0)
        return {scale: self.strength * factor for scale, factor in factors.items()}


class MonitoringSettings(StrictModel):
    """The monitor that is fitted after each training; see `sensorproof.monitoring`."""

    false_alarms: Annotated[float, Field(gt=0, le=0.1)]
    """Share of the images of sound sensors that may be left out."""
