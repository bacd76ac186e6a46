"""Score a registered model again, on the test split as it is now."""

import copy
from pathlib import Path

from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.holdout import count_holdout
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.subsets import SubsetScores
from sensorproof.models import ModelDescription, load_model
from sensorproof.settings import Settings

_COMPARED = ("channels", "range")
"""The prepared pixels of a sensor mean the same to two models only if these are equal."""


def recount(folder: Path, data: PreparedDataset, settings: Settings, holdout: str = "") -> PixelCounts:
    """Score a model on every test frame with every subset of its sensors.

    The pixels are standardised with the model's own means and deviations, with which it was trained, not with those
    of the present training data.

    Args:
        folder: the model folder.
        data: the prepared data.
        settings: device and batch size.
        holdout: the hash of the hold-out, if it is known; else it is computed.

    Raises:
        SensorproofError: the model cannot be loaded, has weights that are not finite, or has other sensors, classes or
            another image size.
    """
    model, description = load_model(folder)
    if not all(bool(weights.isfinite().all()) for weights in model.state_dict().values()):
        raise SensorproofError("model.safetensors", "has weights that are not finite", "train it again")
    _check_comparable(description, data)
    own = copy.copy(data)
    own.meta = data.meta.model_copy(update={"sensors": description.sensors})
    return count_holdout(model, own, settings, holdout)


def rescore(folder: Path, data: PreparedDataset, settings: Settings) -> SubsetScores:
    """Return the scores of a model over all test frames; see `recount`."""
    return recount(folder, data, settings).scores()


def _check_comparable(description: ModelDescription, data: PreparedDataset) -> None:
    """Check that model and data agree on sensors, classes and image size; otherwise a score means nothing."""
    meta = data.meta
    fix = "decide by hand, then `sensorproof registry promote --force --reason …`"
    if description.classes != meta.classes:
        raise SensorproofError("model.json", "its classes are not those of the present data", fix)
    if sorted(description.sensors) != sorted(meta.sensors):
        fault = f"its sensors are {sorted(description.sensors)}, those of the present data {sorted(meta.sensors)}"
        raise SensorproofError("model.json", fault, fix)
    for name, sensor in meta.sensors.items():
        if any(getattr(description.sensors[name], key) != getattr(sensor, key) for key in _COMPARED):
            raise SensorproofError("model.json", f"its {name} has other channels or another range", fix)
    if description.size != meta.size:
        ours, theirs = (f"{height} x {width}" for height, width in (description.size, meta.size))
        fault = f"its image size is {ours} pixels, that of the present data {theirs}"
        raise SensorproofError("model.json", fault, fix)
