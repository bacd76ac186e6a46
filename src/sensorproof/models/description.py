"""Describe a model: what is needed to build and feed it. The description is stored with the weights as model.json."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from sensorproof.data.batch import Class
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.settings import ModelSettings
from sensorproof.settings.strict_model import StrictModel


class ModelDescription(StrictModel):
    """Architecture, sensors, classes (logit k is the k-th class) and the image size (H, W) of training."""

    backbone: Literal["tiny", "mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"]
    decoder_channels: PositiveInt
    sensors: Annotated[dict[str, SensorInput], Field(min_length=1)]
    reference: str
    classes: Annotated[tuple[Class, ...], Field(min_length=2)]
    size: tuple[PositiveInt, PositiveInt]


def describe_model(settings: ModelSettings, meta: PreparedMeta) -> ModelDescription:
    """Describe the model that the settings define for the prepared data."""
    return ModelDescription(
        backbone=settings.backbone,
        decoder_channels=settings.decoder_channels,
        sensors=meta.sensors,
        reference=meta.reference,
        classes=meta.classes,
        size=meta.size,
    )
