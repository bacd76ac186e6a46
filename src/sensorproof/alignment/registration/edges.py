"""An image as the registration sees it: where its edges are and which way they run, whatever the modality.

An edge's direction is kept as its doubled angle (Fitch et al. 2002, orientation correlation; doubled so that light
on dark and dark on light are one): a camera, a thermal camera, a depth map and a label of the same scene then agree
where their values have nothing in common. Flat places are zero, which is no evidence for or against anything.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Sensor

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Edges = NDArray[np.complex64]

_SMOOTHING_PX = 0.35
"""Standard deviation of the Gaussian before the gradient."""
_STRENGTH = 0.5
"""Exponent of an edge's strength: below 1, so that one strong edge does not rule."""
_LABEL_STRENGTH = 0.2
"""The same for labels, where the difference of two ids says nothing."""
_FLAT = 1e-3
"""Gradients well below this share of the strongest are rounding."""
_RANGING = ("depth", "lidar", "radar")
"""Kinds whose pixels are distances."""
GAP = 1 / 24
"""Gaps between measured distances up to this share of the image's height are filled."""


@dataclass(frozen=True)
class Picture:
    """One channel (H, W) to take edges of, and where it is valid."""

    values: Image
    valid: Mask
    strength: float = _STRENGTH


def picture_of(image: Image, sensor: Sensor) -> Picture:
    """What to take edges of in a sensor's image (C, H, W), NaN where invalid.

    Distances become nearness with nothing at zero: the outline against the sky is an edge like any other, and far
    things do not rule. A sparse LiDAR is closed over the gaps between its lines.
    """
    if sensor.kind in _RANGING and image.shape[0] < 3:
        distance = image[0]
        valid = np.isfinite(distance)
        near = np.zeros(distance.shape, np.float32)
        np.divide(1, np.maximum(distance, 1e-3 * sensor.range[1]), out=near, where=valid)
        side = max(3, round(distance.shape[0] * GAP) // 2 * 2 + 1)
        closed = cv2.morphologyEx(near, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
        return Picture(np.where(valid, near, closed).astype(np.float32), np.ones(near.shape, bool))
    return Picture(*gray(image))


def picture_of_label(label: NDArray[np.integer], ignore_index: int) -> Picture:
    """What to take edges of in a label (H, W): the borders of its classes, but not those of ignored areas."""
    return Picture(label.astype(np.float32), label != ignore_index, _LABEL_STRENGTH)


def gray(image: Image) -> tuple[Image, Mask]:
    """Brightness of three channels, the mean of any other number (H, W), and where all of them are valid.

    Invalid pixels are zero.
    """
    valid: Mask = np.asarray(np.isfinite(image).all(0))
    if image.shape[0] == 1 and valid.all():
        return image[0], valid
    if image.shape[0] == 3:
        mixed = cv2.transform(np.ascontiguousarray(image.transpose(1, 2, 0)), np.array([[0.299, 0.587, 0.114]]))
        flat = mixed.reshape(image.shape[1:])
    else:
        flat = image.mean(0)
    return np.where(valid, flat, 0).astype(np.float32), valid


def edges_of(picture: Picture, size: tuple[int, int]) -> Edges:
    """Bring a picture to a size (H, W) and take its edges (H, W): strength ** exponent * exp(2i direction).

    Strength is in any unit: spectra are whitened.
    """
    values, valid = resized(picture, size)
    holes = not valid.all()
    if holes:
        values = np.where(valid, values, values[valid].mean() if valid.any() else 0).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (3, 3), _SMOOTHING_PX, borderType=cv2.BORDER_REFLECT)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REFLECT)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REFLECT)
    across, down = dx * dx, dy * dy
    magnitude = cv2.sqrt(across + down)
    strongest = float(magnitude.max())
    if strongest <= 0 or not np.isfinite(strongest):
        return np.zeros(size, np.complex64)
    # The square of z = dx + i dy has the doubled angle. Over (|z| + floor)^(2 - exponent) it is of the wanted strength
    # where there is an edge, and nothing where it is flat.
    weight = cv2.exp(cv2.log(magnitude + np.float32(_FLAT * strongest)) * np.float32(picture.strength - 2))
    edges = cv2.merge([(across - down) * weight, 2 * dx * dy * weight]).view(np.complex64)[..., 0]
    if holes:
        # The gradient at the border of a hole is the hole's, not the scene's.
        edges[cv2.dilate((~valid).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 0
    return edges


def resized(picture: Picture, size: tuple[int, int]) -> tuple[Image, Mask]:
    """Values and validity at a size (H, W): by area where it shrinks."""
    values, valid = picture.values, picture.valid
    if values.shape == size:
        return values, valid
    height, width = size
    shrinks = values.shape[0] >= height and values.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(values, (width, height), interpolation=method), np.float32)
    if valid.all():
        return scaled, np.ones(size, bool)
    whole = cv2.resize(valid.astype(np.float32), (width, height), interpolation=method) > 0.99
    return scaled, np.asarray(whole, bool)
