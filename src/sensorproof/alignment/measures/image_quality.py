"""Quality of one sensor's image: invalid, saturated, blank or frozen."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.images import Image
from sensorproof.data.batch import Sensor

_THUMBNAIL = 64
"""Longest side in pixels at which two frames are compared for motion."""


@dataclass(frozen=True)
class ImageQuality:
    """Measures of one image. Shares are of its pixels in all channels."""

    invalid_share: float
    saturated_share: float
    """Valid pixels at or above the upper end of the sensor's range."""
    outside_share: float
    """Valid pixels outside the sensor's range."""
    contrast: float
    """Highest minus lowest valid value of any channel, as a share of the range."""
    dead_lines: float
    """Share of rows or of columns with a single value; the larger of the two."""
    blank_tiles: int
    """Bit set: bit k means that tile k of the grid, row by row, is blank or wholly invalid."""


def measure_quality(image: Image, sensor: Sensor, blank_contrast: float, grid: int) -> ImageQuality:
    """Measure one image.

    Args:
        image: (C, H, W) in the sensor's own units, NaN where invalid.
        sensor: its range.
        blank_contrast: contrast up to which a tile is blank.
        grid: tiles per side.
    """
    low, high = sensor.range
    valid = np.isfinite(image)
    count = int(np.count_nonzero(valid))
    if not count:
        return ImageQuality(1.0, 0.0, 0.0, 0.0, 1.0, 2 ** (grid * grid) - 1)
    all_valid = count == image.size
    # Where no pixel is valid, the highest value is below the lowest: no contrast.
    extremes = [
        _Extremes(
            channel if all_valid else np.where(mask, channel, np.float32(-np.inf)),
            channel if all_valid else np.where(mask, channel, np.float32(np.inf)),
            grid,
        )
        for channel, mask in zip(image, valid, strict=True)
    ]
    limit = blank_contrast * (high - low)
    outside = 0
    if any(e.tile_high.max() > high or e.tile_low.min() < low for e in extremes):
        outside = int(np.count_nonzero((image < low) | (image > high)))
    blank = np.all([e.tile_contrast <= limit for e in extremes], axis=0).ravel()
    return ImageQuality(
        invalid_share=1 - count / image.size,
        saturated_share=int(np.count_nonzero(image >= high)) / count,
        outside_share=outside / count,
        contrast=max(0.0, max(float(e.tile_high.max() - e.tile_low.min()) for e in extremes)) / (high - low),
        dead_lines=max(float(np.all([e.is_constant(axis) for e in extremes], axis=0).mean()) for axis in (0, 1)),
        blank_tiles=int(sum(1 << k for k in np.flatnonzero(blank).tolist())),
    )


class _Extremes:
    """Highest and lowest values of one channel (H, W): of its tiles, its rows and its columns.

    Args:
        top: the channel, invalid pixels -inf.
        bottom: the channel, invalid pixels +inf.
        grid: tiles per side.
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
    def tile_contrast(self) -> NDArray[np.float32]:
        """(grid, grid) highest minus lowest value; negative in tiles without a valid pixel."""
        return np.asarray(self.tile_high - self.tile_low)

    def is_constant(self, axis: int) -> NDArray[np.bool_]:
        """Return which columns (axis 0) or rows (axis 1) have a single value."""
        highest, lowest = self.lines[axis]
        return np.asarray(highest == lowest)


def thumbnail(image: Image) -> Image:
    """Return a small copy (C, h, w) in which to look for motion; NaN stays NaN."""
    height, width = image.shape[1:]
    factor = max(1, -(-max(height, width) // _THUMBNAIL))
    # Every n-th pixel instead of a mean: a frozen frame stays equal to the bit, and NaN does not spread.
    return image[:, ::factor, ::factor].copy()


def image_change(before: Image, after: Image) -> float:
    """Return the mean absolute change between two thumbnails, in standard deviations of the later one.

    A pixel that is valid in one of them only counts as one standard deviation. The result is NaN if the sizes differ
    or no pixel is valid.
    """
    if before.shape != after.shape:
        return np.nan
    valid_before, valid_after = np.isfinite(before), np.isfinite(after)
    both, either = valid_before & valid_after, valid_before | valid_after
    if not either.any():
        return np.nan
    deviation = float(np.std(after[valid_after])) if valid_after.any() else 0.0
    moved = float(np.abs(after[both] - before[both]).sum())
    scaled = moved / deviation if deviation > 0 else float(moved > 0) * float(both.sum())
    return (scaled + float((either & ~both).sum())) / float(either.sum())
