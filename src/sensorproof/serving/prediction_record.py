"""predictions.json: what the predictions in a folder are of. Work goes on only with the same."""

import hashlib
from typing import Any

import torch

from sensorproof.data.batch import Batch
from sensorproof.documents.base import Document
from sensorproof.errors import SensorproofError
from sensorproof.hashing import hash_file, hash_json
from sensorproof.models import ModelDescription, Segmenter
from sensorproof.models.windows import Windows
from sensorproof.monitoring.monitor import MonitorMode
from sensorproof.reporting.palette import class_colors
from sensorproof.serving.predictor import Predictor


class ClassColor(Document):
    """A class in labels and overlays."""

    id: int
    name: str
    color: str
    """#rrggbb"""


class PredictionRecord(Document):
    """The model, the batch and the options of predictions. The device and the shards may differ between calls."""

    model: str
    """SHA-256 (hex) of description and weights."""
    batch: str
    """The batch's name."""
    batch_hash: str
    """SHA-256 (hex) of batch.yaml and frames.csv. The images are not read for it."""
    without: tuple[str, ...]
    """The sensors that were left out, sorted."""
    monitor: MonitorMode
    """What was done about sensors that fail; `off` for a model without a monitor."""
    resolution: str = "training"
    """At which size the model was given the frames: that of its `training`, their `own`, or their own in windows."""
    confidence: str
    """The scale of the confidence pictures."""
    classes: tuple[ClassColor, ...]

    def difference_from(self, document: Any) -> str:
        """Say in a few words what another record is of, where that differs from this one; else empty."""
        try:
            other = PredictionRecord.parse(document, "record")
        except SensorproofError:
            return "another version of sensorproof"
        if self.model != other.model:
            return f"another model ({other.model[:12]}, not {self.model[:12]})"
        if self.batch != other.batch:
            return f"another batch ({other.batch}, not {self.batch})"
        if self.batch_hash != other.batch_hash:
            return f"another batch ({other.batch}, but not as it is now)"
        if (self.without, self.monitor, self.resolution) != (other.without, other.monitor, other.resolution):
            return f"other options ({_options(other)}, not {_options(self)})"
        return "" if self == other else "another version of sensorproof"


def _options(record: PredictionRecord) -> str:
    own = [] if record.resolution == "training" else [f"at their {record.resolution} size"]
    return " ".join([*(f"--without {name}" for name in record.without), f"--monitor {record.monitor}", *own])


def describe_resolution(own_size: bool | Windows) -> str:
    """Say at which size a model is given its frames; see `PredictionRecord.resolution`."""
    if isinstance(own_size, Windows):
        return f"own, in windows of {own_size.size[0]} x {own_size.size[1]} with an overlap of {own_size.overlap:g}"
    return "own" if own_size else "training"


def make_record(
    predictor: Predictor,
    batch: Batch,
    without: set[str],
    scale: int,
    monitor: MonitorMode,
    own_size: bool | Windows = False,
) -> PredictionRecord:
    """Describe predictions that are to be made.

    Args:
        predictor: the model.
        batch: the frames.
        without: sensors to leave out.
        scale: the value of a confidence of 1 in the pictures.
        monitor: what to do about sensors that fail.
        own_size: see `Predictor.predict`.
    """
    classes = predictor.description.classes
    colors = class_colors([each.name for each in classes])
    return PredictionRecord(
        model=hash_predictor(predictor),
        batch=batch.name,
        batch_hash=hash_json([hash_file(batch.root / name) for name in ("batch.yaml", "frames.csv")]),
        without=tuple(sorted(without)),
        monitor=monitor if predictor.monitor else "off",
        resolution=describe_resolution(own_size),
        confidence=f"value / {scale}",
        classes=tuple(ClassColor(id=c.id, name=c.name, color=x) for c, x in zip(classes, colors, strict=True)),
    )


def hash_predictor(predictor: Predictor) -> str:
    """Return the SHA-256 (hex) of a model in memory and its monitor."""
    own = hash_loaded_model(predictor.model, predictor.description)
    return hash_json([own, predictor.monitor.hash]) if predictor.monitor else own


def hash_loaded_model(model: Segmenter, description: ModelDescription) -> str:
    """Return the SHA-256 (hex) of a model in memory: its description and the bytes of its weights.

    It does not depend on the device, nor on how the files of the model were written.
    """
    digest = hashlib.sha256(hash_json(description.model_dump(mode="json")).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
