"""Known faults that are put into frames as they are read, to measure detection and false alarms."""

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.corners import image_corners, largest_length
from sensorproof.alignment.frames import RawFrame, Reader, read_frame
from sensorproof.data.batch import Batch
from sensorproof.data.frame_table import LABEL

Affine = NDArray[np.float64]
"""(2, 3) map of points (y, x, 1) in pixels from the image's centre."""
Change = Callable[[Batch, int, str, NDArray], NDArray]
"""(batch, row of frames.csv, sensor or LABEL, its image or label) -> the changed image or label."""
_DIRECTIONS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Directions (y, x) of shifts, in turn."""


def shift(pixels: float, index: int) -> Affine:
    """Return a shift to the right, down, left or up, by the index in turn."""
    y, x = _DIRECTIONS[index % len(_DIRECTIONS)]
    return np.array([[1.0, 0, y * pixels], [0, 1.0, x * pixels]])


def scale(percent: float, index: int) -> Affine:
    """Return a map that enlarges for an odd index and shrinks for an even one."""
    factor = 1 + (percent if index % 2 else -percent) / 100
    return np.array([[factor, 0, 0], [0, factor, 0]])


def rotation(degrees: float, index: int) -> Affine:
    """Return a rotation, clockwise for an odd index and counterclockwise for an even one."""
    angle = np.radians(degrees if index % 2 else -degrees)
    return np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]])


def corner_px(affine: Affine, size: tuple[int, int]) -> float:
    """Return how far a map displaces the corners of an image (height, width), in pixels."""
    corners = image_corners(size)
    displaced = corners @ affine[:, :2].T + affine[:, 2]
    return largest_length(displaced - corners)


def warp(image: NDArray, affine: Affine) -> NDArray:
    """Displace the content of an image (H, W) or (C, H, W); the border is mirrored.

    Labels, and images with invalid pixels, take the nearest pixel, because their values must not be mixed.
    """
    if image.ndim == 3:
        return np.stack([warp(channel, affine) for channel in image])
    height, width = image.shape
    center = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = center + affine[:, 2] - affine[:, :2] @ center
    # OpenCV counts x first.
    matrix = np.array([[affine[1, 1], affine[1, 0], offset[1]], [affine[0, 1], affine[0, 0], offset[0]]])
    mixable = image.dtype.kind == "f" and bool(np.isfinite(image).all())
    method = cv2.INTER_LINEAR if mixable else cv2.INTER_NEAREST
    values = image.astype(np.float32)
    warped = cv2.warpAffine(values, matrix, (width, height), flags=method, borderMode=cv2.BORDER_REFLECT)
    return warped.astype(image.dtype)


@dataclass(frozen=True)
class FaultyReader:
    """A reader of frames that puts a fault into some rows of frames.csv and some sensors (or the label)."""

    rows: Set[int]
    sensors: Set[str]
    change: Change
    read: Reader = read_frame

    def __call__(self, batch: Batch, row: int) -> RawFrame:
        """Read a frame and put the fault into it."""
        frame = self.read(batch, row)
        if row not in self.rows:
            return frame
        images = {
            name: self.change(batch, row, name, image) if name in self.sensors else image
            for name, image in frame.images.items()
        }
        label = frame.label
        if label is not None and LABEL in self.sensors:
            label = self.change(batch, row, LABEL, label)
        return replace(frame, images=images, label=label)


def displace(affine: Callable[[int], Affine]) -> Change:
    """Return a change that displaces the image by a map for each row."""
    return lambda batch, row, sensor, image: warp(image, affine(row))


def show_other_rows(other_row: dict[int, int]) -> Change:
    """Return a change that shows the image of another row, if that row has one: swapped and frozen frames."""

    def change(batch: Batch, row: int, sensor: str, image: NDArray) -> NDArray:
        frame = read_frame(batch, other_row[row])
        other = frame.label if sensor == LABEL else frame.images.get(sensor)
        return image if other is None else other

    return change


def blank_tiles(tiles: int, grid: int = 3) -> Change:
    """Return a change that sets some of grid x grid tiles to a single value."""

    def change(batch: Batch, row: int, sensor: str, image: NDArray) -> NDArray:
        image = image.copy()
        rows, columns = (np.linspace(0, side, grid + 1).astype(int) for side in image.shape[-2:])
        for k in range(tiles):
            y, x = divmod((row + 4 * k) % grid**2, grid)
            area = (..., slice(rows[y], rows[y + 1]), slice(columns[x], columns[x + 1]))
            image[area] = np.nanmin(image) if np.isfinite(image).any() else 0
        return image

    return change


def add_to_timestamps(batch: Batch, sensor: str, seconds: NDArray[np.float64]) -> Batch:
    """Return the batch with seconds (N,) added to a sensor's timestamps."""
    column = f"{sensor}_time"
    return replace(batch, frames=batch.frames.assign(**{column: batch.frames[column] + seconds}))
