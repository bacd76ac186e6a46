"""Read the images and labels of a batch, and check them against what batch.yaml claims."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo, Sensor
from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.image_io import read_pixels
from sensorproof.data.preprocessing import mark_invalid
from sensorproof.errors import BatchError

_AS_STORED = ImageReading()
_NUMBERS = "biuf"
"""numpy's kinds of types that an image may have."""


def read_image(path: Path | Sequence[Path], sensor: Sensor) -> NDArray[np.float32]:
    """Read one frame of a sensor.

    Args:
        path: a PNG, JPEG, TIFF or NPY file, or the several that make one image.
        sensor: what batch.yaml claims of it.

    Returns:
        (C, H, W) in the sensor's own units, NaN where invalid: not finite, or nodata in every channel.

    Raises:
        BatchError: the file is missing, truncated, too large, of an unknown format, or has another number of
            channels or another type than a sensor's image.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    reading = sensor.read or _AS_STORED
    contents = [_as_channels(file, read_pixels(file, reading.channels or sensor.channels)) for file in paths]
    pixels = reading.combine(paths, contents)
    if pixels.shape[0] != sensor.channels:
        fault = f"has {pixels.shape[0]} channels, batch.yaml says {sensor.channels}"
        raise BatchError(paths[0], fault, "correct `channels` or the file")
    return reading.fit(mark_invalid(pixels, sensor.nodata))


def read_label(path: Path, info: BatchInfo) -> NDArray[np.uint8]:
    """Read a label.

    Args:
        path: as in read_image.
        info: gives the classes and ignore_index.

    Returns:
        (H, W), each pixel a class id or ignore_index.

    Raises:
        BatchError: as in read_image, or the label has several channels, other values than integers, or ids that
            batch.yaml does not have.
    """
    ids = read_ids(path, info.label)
    known = {described.id for described in info.classes} | {info.ignore_index}
    unknown = sorted(set(np.unique(ids).tolist()) - known)
    if unknown:
        fault = f"has labels {unknown[:5]} outside the classes"
        raise BatchError(path, fault, "name them in batch.yaml or set them to ignore_index")
    return ids.astype(np.uint8)


def read_ids(path: Path, reading: LabelReading | None = None) -> NDArray[np.integer]:
    """Read the ids (H, W) of a label, known or not; see read_label for the other errors."""
    pixels = _as_channels(path, read_pixels(path))
    if reading is not None:
        pixels = reading.apply(path, pixels)
    if pixels.shape[0] != 1:
        raise BatchError(path, f"has {pixels.shape[0]} channels", "write labels as one channel of class ids")
    if pixels.dtype.kind not in "biu":
        raise BatchError(path, f"holds {pixels.dtype}", "write labels as integers")
    return pixels[0]


def _as_channels(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W) or (H, W, C) as (C, H, W); refuse other shapes, and types that are not numbers."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise BatchError(path, f"has shape {pixels.shape}", "write (H, W) or (H, W, C)")
    if pixels.dtype.kind not in _NUMBERS:
        raise BatchError(path, f"holds {pixels.dtype}", "write numbers")
    return np.moveaxis(pixels, -1, 0)
