"""The sections `model`, `train`, `monitoring` and `regularizer`: what a training is made of."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
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
    precision: Literal["float32", "bfloat16", "float16"]
    """Of what may be computed in less than float32; float16 comes with scaled gradients."""
    compile: bool
    """Let torch.compile make one program of the encoder and one of the decoder."""
    channels_last: bool
    """Keep images in memory with the channels of a pixel side by side."""
    accumulate: PositiveInt
    """Parts in which each process computes its share of a batch, one after the other, to save memory."""
    recompute: bool
    """Keep no activations of the encoder's blocks for the backward pass, but compute them again."""
    max_gradient_norm: PositiveFloat | None
    """Longer gradients are shortened to it; None for no limit."""
    hard_pixels: Annotated[float, Field(gt=0, lt=1)] | None
    """The plain loss counts only pixels whose true class has at most this probability (OHEM); None for all."""
    average_decay: Annotated[float, Field(ge=0, lt=1)] | None
    """Of the running mean of the weights (EMA), which the trained model gets; None for the last weights."""
    shard_weights: bool
    """Spread weights and the optimiser's state over the processes (FSDP2), for models too large for one device."""
    crop: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None
    """Height and width of random crops of frames at their own resolution; None for whole frames at data.size."""
    crop_scale: Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]
    """The least and the largest factor by which frames are resized before they are cut."""
    photometric: dict[str, Fraction]
    """{sensor: strength} of random changes of contrast, brightness, saturation and noise."""
    horizontal_flip: bool
    """Mirror half of the training samples left to right."""
    class_balance: Fraction
    """Of every arm's cross-entropy: 0 weights the pixels of a sample equally, 1 its classes."""
    checkpoint_every: PositiveInt

    @model_validator(mode="after")
    def _has_an_order_of_scales(self) -> Self:
        if self.crop_scale[0] > self.crop_scale[1]:
            raise ValueError(f"crop_scale {self.crop_scale} is not in order: give the least factor first")
        return self

    @model_validator(mode="after")
    def _spreads_only_what_can_be_spread(self) -> Self:
        alone = {
            "channels_last": self.channels_last,
            "recompute": self.recompute,
            "average_decay": self.average_decay is not None,
            "precision: float16": self.precision == "float16",
        }
        if self.shard_weights and (names := [name for name, wanted in alone.items() if wanted]):
            raise ValueError(f"shard_weights does not go with {', '.join(names)}: leave out one of them")
        return self

    @property
    def changes(self) -> dict[str, Any]:
        """All that may change a result, without what is as usual: a run keeps its name when a setting is added."""
        document = self.model_dump(exclude={"arms", "seeds", "checkpoint_every"})
        if self.precision != "float16":  # under the name that it had
            del document["precision"]
            document["mixed_precision"] = self.precision == "bfloat16"
        return {name: value for name, value in document.items() if name not in _USUAL or value != _USUAL[name]}


_USUAL: dict[str, Any] = {
    "compile": False,
    "channels_last": False,
    "accumulate": 1,
    "recompute": False,
    "max_gradient_norm": None,
    "hard_pixels": None,
    "average_decay": None,
    "shard_weights": False,
    "crop": None,
    "crop_scale": [1.0, 1.0],
    "photometric": {},
}
"""Values with which training is as it was before a setting was there."""


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
