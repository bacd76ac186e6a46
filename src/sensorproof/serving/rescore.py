"""A registered model scored again, on the test split as it is now."""

import copy
from pathlib import Path

from sensorproof.data.dataset import PreparedDataset
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.subsets import SubsetScores
from sensorproof.experiment import score_split
from sensorproof.models import ModelDescription, load_model
from sensorproof.settings import Settings

_MEANING = ("channels", "range")
"""What must be equal for the prepared pixels of a sensor to mean the same to two models."""


def rescore(folder: Path, data: PreparedDataset, settings: Settings) -> SubsetScores:
    """Score the model in `folder` on the test split with every subset of its sensors.

    The pixels are standardised with the model's own means and deviations: those of the present training data are
    not what it was trained with.

    Raises:
        SensorproofError: the model cannot be loaded, or has other sensors, classes or another image size.
    """
    model, description = load_model(folder)
    _check_comparable(description, data)
    own = copy.copy(data)
    own.meta = data.meta.model_copy(update={"sensors": description.sensors})
    return score_split(model, own, "test", settings.train.device, settings.evaluate.batch_size)


def _check_comparable(description: ModelDescription, data: PreparedDataset) -> None:
    """A score says something only where model and data agree on sensors, classes and image size."""
    meta = data.meta
    fix = "judge it by hand, then `sensorproof registry promote --force --reason …`"
    if description.classes != meta.classes:
        raise SensorproofError("model.json", "its classes are not those of the present data", fix)
    if sorted(description.sensors) != sorted(meta.sensors):
        fault = f"its sensors are {sorted(description.sensors)}, those of the present data {sorted(meta.sensors)}"
        raise SensorproofError("model.json", fault, fix)
    for name, sensor in meta.sensors.items():
        if any(getattr(description.sensors[name], key) != getattr(sensor, key) for key in _MEANING):
            raise SensorproofError("model.json", f"its {name} has other channels or another range", fix)
    if description.size != meta.size:
        fault = f"it works at {description.size[0]} x {description.size[1]} pixels, the present data at "
        raise SensorproofError("model.json", f"{fault}{meta.size[0]} x {meta.size[1]}", fix)
