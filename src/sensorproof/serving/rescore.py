"""Score a registered model again, on the test split as it is now."""

from pathlib import Path

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import PreparedMeta
from sensorproof.documents.silent import SilentScores
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.failures import FAILURES
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.holdout import count_holdout, show_windows
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.evaluation.subsets import SubsetScores
from sensorproof.models import ModelDescription, Segmenter, load_model
from sensorproof.monitoring.monitor import load_monitor
from sensorproof.settings import Settings
from sensorproof.training.loop import choose_device

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
    model, own = _open(folder, data)
    return count_holdout(show_windows(model, settings), own, settings, holdout)


def recount_silent(folder: Path, data: PreparedDataset, settings: Settings) -> SilentScores | None:
    """Score a model on every test frame with each sensor failing silently; None if it has no monitor.

    Raises:
        SensorproofError: see `recount`.
    """
    monitor = load_monitor(folder)
    if monitor is None:
        return None
    model, own = _open(folder, data)
    model.to(choose_device(settings.train.device))
    frames = PreparedFrames.of_split(own, "test")
    return score_silent_failures(show_windows(model, settings), monitor, frames, FAILURES)


def _open(folder: Path, data: PreparedDataset) -> tuple[Segmenter, PreparedDataset]:
    """Load a model, and let the data be standardised as it was trained."""
    model, description = load_model(folder)
    if not all(bool(weights.isfinite().all()) for weights in model.state_dict().values()):
        raise SensorproofError("model.safetensors", "has weights that are not finite", "train it again")
    check_comparable(description, data.meta)
    return model, data.with_inputs(description.sensors)


def rescore(folder: Path, data: PreparedDataset, settings: Settings) -> SubsetScores:
    """Return the scores of a model over all test frames; see `recount`."""
    return recount(folder, data, settings).scores()


def check_comparable(description: ModelDescription, meta: PreparedMeta) -> None:
    """Check that model and data agree on sensors, classes and image size; otherwise a score means nothing.

    Raises:
        SensorproofError: they do not.
    """
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
