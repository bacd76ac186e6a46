"""Adapt a model to a field: standardise its inputs by the statistics of unlabelled frames from there.

No weight changes. A camera that is brighter in the field than in training then looks to the model as it did in
training. What is estimated is a mean and a standard deviation for each channel, as stage prepare does of the training
frames.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Batch
from sensorproof.data.channel_statistics import ChannelStatistics, sum_up
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import SensorInput
from sensorproof.data.preprocessing import fit_image, mark_invalid
from sensorproof.errors import BatchError, UsageError
from sensorproof.files import atomic_folder, write_json
from sensorproof.models import ModelDescription
from sensorproof.models.description import Adaptation
from sensorproof.monitoring.files import FILES
from sensorproof.serving.package import hash_model
from sensorproof.serving.predictor import Predictor, check_fits, load_predictor


def adapt_model(
    folder: Path,
    batch: Batch,
    out: Path,
    sensors: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, frames: None,
) -> tuple[ModelDescription, ModelDescription]:
    """Write a copy of a model whose sensors are standardised by the frames of a batch; labels are not read.

    Frames with a fault in one of these sensors are left out. The weights and the monitor are copied as they are: the
    monitor goes on to judge images by those in training.

    Args:
        folder: the model folder.
        batch: frames of the field.
        out: the folder to write; new or empty.
        sensors: to re-estimate; by default those that the batch has and that are not standardised by the frame.
        progress: called with the number of frames that are done and the number of all frames.

    Returns:
        The descriptions before and after.

    Raises:
        UsageError: `out` is in use, or there is nothing to re-estimate, or a sensor is unknown or standardised by the
            frame.
        BatchError: the batch does not fit the model, a sensor has no valid pixel in it, or a channel is constant.
        SensorproofError: the model cannot be loaded.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(out, "exists and is not an empty folder", "choose another folder")
    predictor = load_predictor(folder, "cpu")
    check_fits(predictor, batch)
    names = _choose(predictor, batch, sensors)
    estimated, frames = _estimate(predictor.description, batch, names, progress)
    adaptation = Adaptation(batch=batch.name, frames=frames, model_sha256=hash_model(folder))
    inputs = {**predictor.description.sensors, **estimated}
    adapted = predictor.description.model_copy(update={"sensors": inputs, "adapted": adaptation})
    with atomic_folder(out) as temporary:
        for name in ("model.safetensors", *FILES):
            if (folder / name).exists():
                shutil.copyfile(folder / name, temporary / name)
        write_json(temporary / "model.json", adapted.model_dump(mode="json"))
    return predictor.description, adapted


def _choose(predictor: Predictor, batch: Batch, sensors: Sequence[str]) -> list[str]:
    """Return the sensors to re-estimate, sorted."""
    described = predictor.description.sensors
    if unknown := sorted(set(sensors) - set(described)):
        raise UsageError("--sensor", f"{unknown} are unknown", f"the model has {sorted(described)}")
    if own := sorted(name for name in sensors if described[name].standardize == "frame"):
        raise UsageError("--sensor", f"{own} are standardised by each frame", "name others; these need no adaptation")
    if lacking := sorted(name for name in sensors if name not in batch.sensors):
        raise UsageError("--sensor", f"{batch.name} has no {lacking}", f"it has {sorted(batch.sensors)}")
    names = sorted(
        sensors or (name for name, own in described.items() if name in batch.sensors and own.standardize != "frame")
    )
    if not names:
        fault = f"all of its sensors in {batch.name} are standardised by each frame"
        raise UsageError("the model", fault, "use it as it is")
    return names


def _estimate(
    description: ModelDescription, batch: Batch, names: Sequence[str], progress: Callable[[int, int], None]
) -> tuple[dict[str, SensorInput], dict[str, int]]:
    """Return the sensors with new statistics, and the number of frames that each is estimated from."""
    statistics = {name: ChannelStatistics(description.sensors[name].channels) for name in names}
    frames = dict.fromkeys(names, 0)
    for row in range(len(batch.frames)):
        for name, sums in _sums_of(description, batch, names, row).items():
            statistics[name].add(sums)
            frames[name] += 1
        progress(row + 1, len(batch.frames))
    if empty := [name for name in names if not frames[name]]:
        fix = "give frames that have it, or name the other sensors with --sensor"
        raise BatchError(batch.root, f"has no valid pixel of {', '.join(empty)} in a frame without a fault", fix)
    return {name: _with_statistics(batch, name, description.sensors[name], statistics[name]) for name in names}, frames


def _sums_of(
    description: ModelDescription, batch: Batch, names: Sequence[str], row: int
) -> Mapping[str, NDArray[np.float64]]:
    """Return {sensor: number, sum and sum of squares (3, C) of the valid pixels} of a frame, as the model scales it."""
    frame, findings = load_frame(batch, row)
    if any(finding.severity == "critical" and finding.sensor in {*names, ""} for finding in findings):
        return {}
    sums = {}
    for name in names:
        if name not in frame.images:
            continue
        own = description.sensors[name]
        fitted = fit_image(mark_invalid(frame.images[name], own.nodata), own, description.size)
        if np.isfinite(fitted).any():
            sums[name] = sum_up(fitted)
    return sums


def _with_statistics(batch: Batch, name: str, sensor: SensorInput, statistics: ChannelStatistics) -> SensorInput:
    """Return a sensor with the statistics of the field."""
    if (constant := statistics.constant).any():
        fault = f"{name}: channel {int(constant.argmax())} has one value in all frames"
        raise BatchError(batch.root, fault, "the sensor is broken there; name the other sensors with --sensor")
    update = {
        "mean": tuple(map(float, statistics.mean)),
        "std": tuple(map(float, statistics.std)),
        "standardize": "field",
    }
    return sensor.model_copy(update=update)
