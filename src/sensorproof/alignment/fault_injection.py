"""Known faults, put into frames as they are read: what detection and false alarms are measured with."""

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.frames import Frame, Reader, read_frame
from sensorproof.data.batch import LABEL, Batch

Affine = NDArray[np.float64]
Change = Callable[[Batch, int, str, NDArray], NDArray]
"""(batch, row of frames.csv, sensor, its image or label) -> what it has become."""
_AXES = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Directions (y, x) that shifts take in turn."""


def shift(pixels: float, turn: int) -> Affine:
    """(2, 3) map of points (y, x, 1) from the image's centre: a shift along one of AXES."""
    y, x = _AXES[turn % len(_AXES)]
    return np.array([[1.0, 0, y * pixels], [0, 1.0, x * pixels]])


def scale(percent: float, turn: int) -> Affine:
    """(2, 3) map that enlarges, or at every other turn shrinks."""
    factor = 1 + (percent if turn % 2 else -percent) / 100
    return np.array([[factor, 0, 0], [0, factor, 0]])


def rotation(degrees: float, turn: int) -> Affine:
    """(2, 3) map that turns, at every other turn the other way."""
    angle = np.radians(degrees if turn % 2 else -degrees)
    return np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]])


def corner_px(affine: Affine, size: tuple[int, int]) -> float:
    """How far a map moves the corners of an image (height, width), pixels."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * np.array(size) / 2
    moved = corners @ affine[:, :2].T + affine[:, 2]
    return float(np.hypot(*(moved - corners).T).max())


def warp(image: NDArray, affine: Affine) -> NDArray:
    """Move the content of (H, W) or (C, H, W), mirrored at the border.

    Labels and images with invalid pixels, which must not be mixed, take the nearest pixel.
    """
    if image.ndim == 3:
        return np.stack([warp(channel, affine) for channel in image])
    height, width = image.shape
    center = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = center + affine[:, 2] - affine[:, :2] @ center
    # OpenCV counts x first, and takes where each point goes.
    matrix = np.array([[affine[1, 1], affine[1, 0], offset[1]], [affine[0, 1], affine[0, 0], offset[0]]])
    mixable = image.dtype.kind == "f" and bool(np.isfinite(image).all())
    how = cv2.INTER_LINEAR if mixable else cv2.INTER_NEAREST
    values = image.astype(np.float32)
    return cv2.warpAffine(values, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REFLECT).astype(image.dtype)


@dataclass(frozen=True)
class Faulty:
    """Reads frames as `read` does, with a fault in the given rows of frames.csv and sensors (or the label)."""

    rows: Set[int]
    sensors: Set[str]
    change: Change
    read: Reader = read_frame

    def __call__(self, batch: Batch, row: int) -> Frame:
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


def moved(affine: Callable[[int], Affine]) -> Change:
    """A change that moves the image, by a map for each row."""
    return lambda batch, row, sensor, image: warp(image, affine(row))


def taken_from(partner: dict[int, int]) -> Change:
    """A change that shows the image of another row, where that has one: swapped, shuffled and frozen frames."""

    def change(batch: Batch, row: int, sensor: str, image: NDArray) -> NDArray:
        other = read_frame(batch, partner[row])
        found = other.label if sensor == LABEL else other.images.get(sensor)
        return image if found is None else found

    return change


def blanked(tiles: int, grid: int = 3) -> Change:
    """A change that sets some of grid x grid tiles to one value."""

    def change(batch: Batch, row: int, sensor: str, image: NDArray) -> NDArray:
        image = image.copy()
        rows, columns = (np.linspace(0, side, grid + 1).astype(int) for side in image.shape[-2:])
        for k in range(tiles):
            y, x = divmod((row + 4 * k) % grid**2, grid)
            area = (..., slice(rows[y], rows[y + 1]), slice(columns[x], columns[x + 1]))
            image[area] = np.nanmin(image) if np.isfinite(image).any() else 0
        return image

    return change


def with_times(batch: Batch, sensor: str, added: NDArray[np.float64]) -> Batch:
    """The batch with seconds (N,) added to a sensor's stamps."""
    column = f"{sensor}_time"
    return replace(batch, frames=batch.frames.assign(**{column: batch.frames[column] + added}))
