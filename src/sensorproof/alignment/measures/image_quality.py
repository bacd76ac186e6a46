"""Does a frame show anything at all? Frozen, blank, saturated, dead, invalid: measures of one sensor alone."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Sensor

Image = NDArray[np.float32]
_THUMBNAIL = 64
"""Longest side in pixels at which two frames are compared for motion."""


@dataclass(frozen=True)
class Health:
    """Shares are of the frame's pixels, all channels together."""

    invalid_share: float
    saturated_share: float
    """Valid pixels at or above the upper end of the sensor's range."""
    outside_share: float
    """Valid pixels outside of the sensor's range."""
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
    count = int(np.count_nonzero(valid))
    if not count:
        return Health(1.0, 0.0, 0.0, 0.0, 1.0, 2 ** (grid * grid) - 1)
    full = count == image.size
    # Where nothing is valid, the highest is below the lowest: that is no contrast.
    extremes = [
        _Extremes(
            channel if full else np.where(there, channel, np.float32(-np.inf)),
            channel if full else np.where(there, channel, np.float32(np.inf)),
            grid,
        )
        for channel, there in zip(image, valid, strict=True)
    ]
    limit = blank_contrast * (high - low)
    outside = 0
    if any(e.tile_high.max() > high or e.tile_low.min() < low for e in extremes):
        outside = int(np.count_nonzero((image < low) | (image > high)))
    blank = np.all([e._tile_contrast <= limit for e in extremes], axis=0).ravel()
    return Health(
        invalid_share=1 - count / image.size,
        saturated_share=int(np.count_nonzero(image >= high)) / count,
        outside_share=outside / count,
        contrast=max(0.0, max(float(e.tile_high.max() - e.tile_low.min()) for e in extremes)) / (high - low),
        dead_lines=max(float(np.all([e.stuck(axis) for e in extremes], axis=0).mean()) for axis in (0, 1)),
        blank_tiles=int(sum(1 << k for k in np.flatnonzero(blank).tolist())),
    )


class _Extremes:
    """Highest and lowest values of one channel (H, W): of its tiles, its rows and its columns.

    Args:
        top: the channel, invalid pixels -inf.
        bottom: the channel, invalid pixels +inf.
    """

    def __init__(self, top: Image, bottom: Image, grid: int) -> None:
        rows, columns = (np.linspace(0, side, grid + 1).astype(int) for side in top.shape)
        bands = [slice(a, b) for a, b in pairwise(rows)]
        highest = np.concatenate([cv2.reduce(top[band], 0, cv2.REDUCE_MAX) for band in bands])
        lowest = np.concatenate([cv2.reduce(bottom[band], 0, cv2.REDUCE_MIN) for band in bands])
        self.tile_high = np.maximum.reduceat(highest, columns[:-1], axis=1)
        self.tile_low = np.minimum.reduceat(lowest, columns[:-1], axis=1)
        self.lines = (
            (highest.max(0), lowest.min(0)),
            (cv2.reduce(top, 1, cv2.REDUCE_MAX)[:, 0], cv2.reduce(bottom, 1, cv2.REDUCE_MIN)[:, 0]),
        )

    @property
    def _tile_contrast(self) -> NDArray[np.float32]:
        """(grid, grid) highest less lowest value; below zero where nothing is valid."""
        return np.asarray(self.tile_high - self.tile_low)

    def stuck(self, axis: int) -> NDArray[np.bool_]:
        """Which columns (axis 0) or rows (axis 1) have one value only."""
        highest, lowest = self.lines[axis]
        return np.asarray(highest == lowest)


def thumbnail(image: Image) -> Image:
    """A small copy (C, h, w) in which to look for motion; NaN stays NaN."""
    height, width = image.shape[1:]
    factor = max(1, -(-max(height, width) // _THUMBNAIL))
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
