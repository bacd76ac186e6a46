"""Check arrays against the mapping before anything is written, and read names, roles and times of the frames."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.frame_table import SPLITS
from sensorproof.data.image_io import MAX_PIXELS
from sensorproof.data.importers.archive import Arrays
from sensorproof.data.importers.mapping import SECONDS, FrameRole, Mapping, SensorArray, Times, role_of
from sensorproof.errors import BatchError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_FRAME_ID = 200
"""Letters, because a file's name may have 255 bytes."""


def check_arrays(source: Path, mapping: Mapping, arrays: Arrays) -> None:
    """Check dimensions, type and length of every array.

    Args:
        source: the file or folder, for the messages.
        mapping: says what the arrays are.
        arrays: by name.

    Raises:
        BatchError: an array is not what the mapping says.
    """
    lengths = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise BatchError(source, f"arrays differ in length ({listed})", "give every array one entry a frame")
    if not all(lengths.values()):
        raise BatchError(source, "has no frames", "an empty batch cannot be used")
    for sensor in mapping.sensors.values():
        _check_sensor(source, sensor, arrays[sensor.array])
    if mapping.label is None:
        return
    label, reference = arrays[mapping.label.array], mapping.sensors[mapping.reference]
    if label.ndim != 3 and not (label.ndim == 4 and label.shape[-1] == 1):
        raise BatchError(source, f"label {mapping.label.array!r} has shape {label.shape}", "give (N, H, W)")
    if label.dtype.kind not in "biu":
        raise BatchError(source, f"label {mapping.label.array!r} holds {label.dtype}", "give integers")
    size = _size_of(reference, arrays[reference.array])
    if label.shape[1:3] != size:
        fault = (
            f"label {mapping.label.array!r} is {label.shape[1]} x {label.shape[2]}, the reference {size[0]} x {size[1]}"
        )
        raise BatchError(source, fault, "give labels at the reference sensor's size")


def _check_sensor(source: Path, sensor: SensorArray, array: NDArray[Any]) -> None:
    """Raise BatchError if a sensor's array is not what the mapping says."""
    where = f"array {sensor.array!r}"
    if array.dtype.kind not in "biuf":
        raise BatchError(source, f"{where} holds {array.dtype}", "give numbers")
    if array.ndim not in (3, 4):
        raise BatchError(source, f"{where} has shape {array.shape}", "give (N, H, W) or (N, H, W, C)")
    channels = 1 if array.ndim == 3 else array.shape[-1 if sensor.layout == "NHWC" else 1]
    if channels != sensor.channels:
        fault = f"{where} of shape {array.shape} has {channels} channels as {sensor.layout}, not {sensor.channels}"
        raise BatchError(source, fault, "correct channels or layout in the mapping")
    height, width = _size_of(sensor, array)
    if not 0 < height * width <= MAX_PIXELS:
        raise BatchError(source, f"{where} has images of {height} x {width}", f"give 1 to {MAX_PIXELS:,} pixels")


def _size_of(sensor: SensorArray, array: NDArray[Any]) -> tuple[int, int]:
    """Return height and width of a sensor's images."""
    first = 2 if array.ndim == 4 and sensor.layout == "NCHW" else 1
    return array.shape[first], array.shape[first + 1]


def check_pixels(source: Path, sensor: SensorArray, pixels: NDArray[Any], frame_id: str) -> bool:
    """Return whether any pixel of a frame is valid.

    Args:
        source: the file or folder, for the message.
        sensor: says what is valid.
        pixels: (H, W) or (H, W, C).
        frame_id: for the message.

    Raises:
        BatchError: there are NaN or infinite values and the mapping does not allow them.
    """
    finite = np.isfinite(pixels)
    if not sensor.allow_nan and not finite.all():
        fault = f"array {sensor.array!r} has {int((~finite).sum())} NaN or infinite values in frame {frame_id!r}"
        raise BatchError(source, fault, "set allow_nan: true in the mapping if they mark invalid pixels")
    if sensor.nodata is not None:
        finite = finite & (pixels != sensor.nodata)
    return bool(finite.any())


def _frame_names(source: Path, mapping: Mapping, arrays: Arrays) -> list[str]:
    """Return the frames' names as the array has them, or their numbers."""
    if mapping.frames.names is None:
        count = len(arrays[mapping.sensors[mapping.reference].array])
        return [f"{k:06d}" for k in range(count)]
    names = arrays[mapping.frames.names]
    if names.ndim != 1 or names.dtype.kind not in "iuSU":
        fault = f"names {mapping.frames.names!r} have shape {names.shape} and hold {names.dtype}"
        raise BatchError(source, fault, "give N texts or integers")
    try:
        return [name.decode() if isinstance(name, bytes) else str(name) for name in names.tolist()]
    except UnicodeDecodeError as error:
        raise BatchError(source, f"names {mapping.frames.names!r} are not UTF-8", "save them as text") from error


def frame_ids(source: Path, mapping: Mapping, arrays: Arrays) -> list[str]:
    """Return a frame_id for every name: the name, with hyphens for characters that are unsafe in a file's name.

    Raises:
        BatchError: a name gives no frame_id, or two names give the same.
    """
    names = _frame_names(source, mapping, arrays)
    ids = [_UNSAFE.sub("-", name).strip("-.") for name in names]
    for name, frame_id in zip(names, ids, strict=True):
        if not 0 < len(frame_id) <= _MAX_FRAME_ID:
            fault = f"frame name {name[:40]!r} gives no frame_id"
            raise BatchError(source, fault, f"give names of 1 to {_MAX_FRAME_ID} letters")
    known: dict[str, str] = {}
    for name, frame_id in zip(names, ids, strict=True):
        # Some file systems do not tell A from a.
        if (first := known.setdefault(frame_id.lower(), name)) is not name:
            raise BatchError(source, f"frame names {first!r} and {name!r} both give {frame_id!r}", "make names unique")
    return ids


def frame_roles(source: Path, mapping: Mapping, arrays: Arrays) -> list[FrameRole]:
    """Return the role of every frame by the rules of the mapping.

    Raises:
        BatchError: a name matches no rule, a role has no sequence, site or known split, or only some have a split.
    """
    roles = []
    for name in _frame_names(source, mapping, arrays):
        role = role_of(name, mapping.frames.rules)
        if role is None:
            raise BatchError(
                source, f"no rule of the mapping matches frame name {name!r}", "add one under frames.rules"
            )
        if not role.leave_out and role.split not in ("", *SPLITS):
            raise BatchError(source, f"frame {name!r} gets the split {role.split!r}", f"use {', '.join(SPLITS)}")
        if not role.leave_out and not (role.sequence and role.site):
            raise BatchError(source, f"frame {name!r} gets no sequence or site", "correct its rule in the mapping")
        roles.append(role)
    if len({bool(role.split) for role in roles if not role.leave_out}) > 1:
        raise BatchError(source, "some frames get a split and some do not", "give all of them one, or none")
    return roles


def frame_times(source: Path, times: Times, arrays: Arrays, count: int) -> NDArray[np.float64]:
    """Return the times of `count` frames in seconds, NaN where the array has NaN.

    Raises:
        BatchError: the array is not (count,) numbers.
    """
    if times.rate_hz is not None:
        return times.start_s + np.arange(count) / times.rate_hz
    assert times.array is not None
    stamps = arrays[times.array]
    if stamps.ndim != 1 or stamps.dtype.kind not in "iuf":
        fault = f"times {times.array!r} have shape {stamps.shape} and hold {stamps.dtype}"
        raise BatchError(source, fault, "give N numbers")
    return np.asarray(stamps, np.float64) * SECONDS[times.unit]
