"""Frames and labels: decoded pixels held to what batch.yaml claims of them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo, Sensor
from sensorproof.data.image_io import read_pixels
from sensorproof.errors import BatchError

_NUMBERS = "biuf"


def read_image(path: Path, sensor: Sensor) -> NDArray[np.float32]:
    """Read one frame of a sensor.

    Returns:
        (C, H, W) in the sensor's own units, NaN where invalid: not finite, or nodata in every channel.

    Raises:
        BatchError: the file is missing, truncated, too large, of an unknown format, or has another number of
            channels or another type than a sensor's image.
    """
    pixels = _as_channels(path, read_pixels(path, sensor.channels))
    if pixels.shape[0] != sensor.channels:
        fault = f"has {pixels.shape[0]} channels, batch.yaml says {sensor.channels}"
        raise BatchError(path, fault, "correct `channels` or the file")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and so invalid
        values = pixels.astype(np.float32)
    return mark_invalid(values, sensor.nodata)


def mark_invalid(values: NDArray[np.float32], nodata: float | None) -> NDArray[np.float32]:
    """Set pixels of (C, H, W) to NaN, in place, where they are not finite or are nodata in every channel."""
    invalid = ~np.isfinite(values)
    if nodata is not None:
        invalid |= (values == np.float32(nodata)).all(axis=0)
    values[invalid] = np.nan
    return values


def read_label(path: Path, info: BatchInfo) -> NDArray[np.uint8]:
    """Read a label: (H, W), each pixel a class id or ignore_index.

    Raises:
        BatchError: as read_image, or the label has several channels, other numbers than 0 to 255, or ids that
            batch.yaml does not know.
    """
    pixels = read_ids(path)
    known = {c.id for c in info.classes} | {info.ignore_index}
    unknown = sorted(set(np.unique(pixels).tolist()) - known)
    if unknown:
        fault = f"has labels {unknown[:5]} outside the classes"
        raise BatchError(path, fault, "name them in batch.yaml or set them to ignore_index")
    return pixels.astype(np.uint8)


def read_ids(path: Path) -> NDArray[np.integer]:
    """Read a label's ids (H, W), whatever they are; see read_label for the errors."""
    pixels = _as_channels(path, read_pixels(path))
    if pixels.shape[0] != 1:
        raise BatchError(path, f"has {pixels.shape[0]} channels", "write labels as one channel of class ids")
    if pixels.dtype.kind not in "biu":
        raise BatchError(path, f"holds {pixels.dtype}", "write labels as integers")
    return pixels[0]


def _as_channels(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise BatchError(path, f"has shape {pixels.shape}", "write (H, W) or (H, W, C)")
    if pixels.dtype.kind not in _NUMBERS:
        raise BatchError(path, f"holds {pixels.dtype}", "write numbers")
    return np.moveaxis(pixels, -1, 0)
