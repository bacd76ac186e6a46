"""The edges of an image and their direction, comparable between any two modalities.

An edge's direction is stored as its doubled angle (Fitch et al. 2002, orientation correlation; doubled so that light
on dark equals dark on light). A camera, a thermal camera, a depth map and a label of the same scene then agree even
where their values have nothing in common. Flat areas are zero, which is no evidence for or against anything.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.images import Image, Mask, resize, to_gray
from sensorproof.data.batch import Sensor

Edges = NDArray[np.complex64]
"""(H, W) strength and doubled direction of the edge at each pixel."""

_SMOOTHING_PX = 0.35
"""Standard deviation of the Gaussian filter before the gradient."""
_EXPONENT = 0.5
"""Exponent of an edge's strength: below 1, so that a single strong edge does not dominate."""
_LABEL_EXPONENT = 0.2
"""The same for labels, where the difference of two ids has no meaning."""
_FLAT = 1e-3
"""Gradients well below this share of the strongest one are rounding errors."""
_DISTANCE_KINDS = ("depth", "lidar", "radar")
"""Kinds of sensors whose pixels are distances."""
_LARGEST_GAP = 1 / 24
"""Gaps between measured distances are closed up to this share of the image's height."""


@dataclass(frozen=True)
class GrayImage:
    """One channel (H, W) to take edges of, the mask of its valid pixels, and the exponent of its edges' strength."""

    values: Image
    valid: Mask
    exponent: float = _EXPONENT


def gray_image(image: Image, sensor: Sensor) -> GrayImage:
    """Reduce a sensor's image to the channel whose edges are compared.

    Distances become nearness, with zero for no return: an outline against the sky is then an edge like any other, and
    far objects do not dominate. The gaps between the lines of a sparse LiDAR are closed.

    Args:
        image: (C, H, W) in the sensor's own units, NaN where invalid.
        sensor: its kind and range.
    """
    if sensor.kind in _DISTANCE_KINDS and image.shape[0] < 3:
        distance = image[0]
        valid = np.isfinite(distance)
        nearness = np.zeros(distance.shape, np.float32)
        np.divide(1, np.maximum(distance, 1e-3 * sensor.range[1]), out=nearness, where=valid)
        side = max(3, round(distance.shape[0] * _LARGEST_GAP) // 2 * 2 + 1)
        closed = cv2.morphologyEx(nearness, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
        return GrayImage(np.where(valid, nearness, closed).astype(np.float32), np.ones(nearness.shape, bool))
    return GrayImage(*to_gray(image))


def gray_label(label: NDArray[np.integer], ignore_index: int) -> GrayImage:
    """Prepare a label (H, W), whose edges are the borders of its classes but not those of ignored areas."""
    return GrayImage(label.astype(np.float32), label != ignore_index, _LABEL_EXPONENT)


def edges_of(image: GrayImage, size: tuple[int, int]) -> Edges:
    """Resize an image to a size (H, W) and return its edges (H, W): strength ** exponent * exp(2i direction).

    The unit of the strength does not matter, because spectra are whitened.
    """
    values, valid = _resized(image, size)
    has_holes = not valid.all()
    if has_holes:
        values = np.where(valid, values, values[valid].mean() if valid.any() else 0).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (3, 3), _SMOOTHING_PX, borderType=cv2.BORDER_REFLECT)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REFLECT)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REFLECT)
    across, down = dx * dx, dy * dy
    magnitude = cv2.sqrt(across + down)
    strongest = float(magnitude.max())
    if strongest <= 0 or not np.isfinite(strongest):
        return np.zeros(size, np.complex64)
    # The square of z = dx + i dy has the doubled angle. Divided by (|z| + floor)^(2 - exponent), it has the wanted
    # strength at an edge and vanishes in flat areas.
    weight = cv2.exp(cv2.log(magnitude + np.float32(_FLAT * strongest)) * np.float32(image.exponent - 2))
    edges = cv2.merge([(across - down) * weight, 2 * dx * dy * weight]).view(np.complex64)[..., 0]
    if has_holes:
        # A gradient at the border of a hole belongs to the hole, not to the scene.
        edges[cv2.dilate((~valid).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 0
    return edges


def _resized(image: GrayImage, size: tuple[int, int]) -> tuple[Image, Mask]:
    """Return values and valid mask at a size (H, W)."""
    values, valid = image.values, image.valid
    if values.shape == size:
        return values, valid
    scaled = np.asarray(resize(values, size), np.float32)
    if valid.all():
        return scaled, np.ones(size, bool)
    return scaled, np.asarray(resize(valid.astype(np.float32), size) > 0.99, bool)
