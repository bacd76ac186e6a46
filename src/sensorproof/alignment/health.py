"""Does a frame show anything at all? Frozen, blank, saturated, dead, invalid: measures of one sensor alone."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Sensor

Image = NDArray[np.float32]
THUMBNAIL = 64
"""Longest side in pixels at which two frames are compared for motion."""


@dataclass(frozen=True)
class Health:
    """Shares are of the frame's pixels, all channels together."""

    invalid_share: float
    saturated_share: float
    """Valid pixels at or above the upper end of the sensor's range."""
    contrast: float
    """Highest less lowest valid value of any channel, as a share of the range."""
    dead_lines: float
    """Share of rows or of columns that are stuck at one value; the larger of the two."""
    blank_tiles: int
    """Bit set: bit k is tile k of the grid, row by row, blank or wholly invalid."""


def health(image: Image, sensor: Sensor, blank_contrast: float, grid: int) -> Health:
    """Measure one frame.

    Args:
        image: (C, H, W) in the sensor's own units, NaN where invalid.
        blank_contrast: contrast up to which a tile is blank.
        grid: tiles a side.
    """
    low, high = sensor.range
    valid = np.isfinite(image)
    count = int(valid.sum())
    if not count:
        return Health(1.0, 0.0, 0.0, 1.0, 2 ** (grid * grid) - 1)
    above = int((image >= high).sum())
    # Where nothing is valid, the highest is below the lowest: that is no contrast.
    top, bottom = np.where(valid, image, -np.inf), np.where(valid, image, np.inf)
    contrast = max(0.0, float((top.max((1, 2)) - bottom.min((1, 2))).max()))
    return Health(
        invalid_share=1 - count / image.size,
        saturated_share=above / count,
        contrast=contrast / (high - low),
        dead_lines=max(stuck_share(top, bottom, 2), stuck_share(top, bottom, 1)),
        blank_tiles=blank_tiles(top, bottom, blank_contrast * (high - low), grid),
    )


def stuck_share(top: Image, bottom: Image, axis: int) -> float:
    """Share of lines along axis whose valid pixels all have one value in every channel."""
    highest, lowest = top.max(axis), bottom.min(axis)
    return float(((highest == lowest) | ~np.isfinite(highest)).all(0).mean())


def blank_tiles(top: Image, bottom: Image, limit: float, grid: int) -> int:
    """Bit set of the tiles whose valid pixels differ by no more than limit in every channel."""
    height, width = top.shape[1:]
    rows = np.linspace(0, height, grid + 1).astype(int)
    columns = np.linspace(0, width, grid + 1).astype(int)
    bits = 0
    for k in range(grid * grid):
        y, x = divmod(k, grid)
        area = (slice(None), slice(rows[y], rows[y + 1]), slice(columns[x], columns[x + 1]))
        if (top[area].max((1, 2), initial=-np.inf) - bottom[area].min((1, 2), initial=np.inf)).max() <= limit:
            bits |= 1 << k
    return bits


def thumbnail(image: Image) -> Image:
    """A small copy (C, h, w) in which to look for motion; NaN stays NaN."""
    height, width = image.shape[1:]
    factor = max(1, -(-max(height, width) // THUMBNAIL))
    # Every n-th pixel rather than a mean: a frozen frame stays bit-equal, and NaN does not spread.
    return image[:, ::factor, ::factor].copy()


def change(before: Image, after: Image) -> float:
    """Mean absolute change between two thumbnails in standard deviations of the later one.

    Pixels valid in one only count as one standard deviation. NaN where the sizes differ or nothing is valid.
    """
    if before.shape != after.shape:
        return np.nan
    a, b = np.isfinite(before), np.isfinite(after)
    both, either = a & b, a | b
    if not either.any():
        return np.nan
    spread = float(np.std(after[b])) if b.any() else 0.0
    moved = float(np.abs(after[both] - before[both]).sum())
    scaled = moved / spread if spread > 0 else float(moved > 0) * float(both.sum())
    return (scaled + float((either & ~both).sum())) / float(either.sum())


def gray(image: Image) -> tuple[Image, NDArray[np.bool_]]:
    """Mean over the channels (H, W), and where all of them are valid; invalid pixels are zero."""
    valid = np.isfinite(image).all(0)
    if image.shape[0] == 3:
        mixed = cv2.transform(np.ascontiguousarray(image.transpose(1, 2, 0)), np.array([[0.299, 0.587, 0.114]]))
        flat = mixed.reshape(image.shape[1:])
    else:
        flat = image.mean(0)
    return np.where(valid, flat, 0).astype(np.float32), valid
