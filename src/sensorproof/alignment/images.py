"""Images as arrays: their types, their brightness and their resizing."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""(C, H, W) in a sensor's own units, NaN where invalid; (H, W) for a single channel."""
Mask = NDArray[np.bool_]
_LUMA = np.array([[0.299, 0.587, 0.114]])
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


def to_gray(image: Image) -> tuple[Image, Mask]:
    """Reduce an image to one channel.

    Args:
        image: (C, H, W), NaN where invalid.

    Returns:
        Brightness (H, W) of three channels, or the mean of any other number of channels; invalid pixels are 0. And
        the mask (H, W) of the pixels that are valid in all channels.
    """
    valid: Mask = np.asarray(np.isfinite(image).all(0))
    if image.shape[0] == 1 and valid.all():
        return image[0], valid
    if image.shape[0] == 3:
        mixed = cv2.transform(np.ascontiguousarray(image.transpose(1, 2, 0)), _LUMA)
        flat = mixed.reshape(image.shape[1:])
    else:
        flat = image.mean(0)
    return np.where(valid, flat, 0).astype(np.float32), valid


def resize(image: NDArray, size: tuple[int, int], interpolation: int | None = None) -> NDArray:
    """Resize (H, W) or (H, W, C) to a size.

    Args:
        image: values of a type that OpenCV knows.
        size: height and width in pixels.
        interpolation: one of OpenCV's; None averages areas if no side grows and is bilinear otherwise.
    """
    if interpolation is None:
        shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size[::-1], interpolation=interpolation))
