"""Describe a model: what is needed to build and feed it. The description is stored with the weights as model.json."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, model_serializer

from sensorproof.data.batch import Class
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.settings import ModelSettings
from sensorproof.settings.strict_model import StrictModel


class Adaptation(StrictModel):
    """From which unlabelled frames statistics were re-estimated by `sensorproof adapt`."""

    batch: str
    frames: dict[str, PositiveInt]
    """{sensor: frames that it was estimated from}, of the sensors standardised by `field`."""
    model_sha256: str
    """Hash of the model folder that was adapted."""


class ModelDescription(StrictModel):
    """Architecture, sensors, classes (logit k is the k-th class) and the image size (H, W) of training."""

    backbone: Literal["tiny", "mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"]
    decoder_channels: PositiveInt
    sensors: Annotated[dict[str, SensorInput], Field(min_length=1)]
    reference: str
    classes: Annotated[tuple[Class, ...], Field(min_length=2)]
    size: tuple[PositiveInt, PositiveInt]
    adapted: Adaptation | None = None
    """None: every statistic is that of the training frames."""

    @model_serializer(mode="wrap")
    def _omit_no_adaptation(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is usual: the hashes of model folders stay those of earlier versions."""
        document: dict[str, Any] = handler(self)
        if self.adapted is None:
            del document["adapted"]
        return document


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
