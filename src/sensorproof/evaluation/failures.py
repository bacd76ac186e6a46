"""Failures that nobody declares, put into a sensor's prepared images: shares of the range, NaN where invalid.

Those of `FAILURES` were used in making the monitor; those of `FURTHER` were not, and only test it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
"""(B, C, H, W)."""


@dataclass(frozen=True)
class Context:
    """What a failure may need besides the images themselves."""

    first: Images
    """(B, C, H, W) of each frame, the first image of its sequence."""
    before: Images
    """The image before."""
    other: Images
    """An image of another sequence."""
    rng: np.random.Generator


Failure = Callable[[Images, Context], Images]


def _black(images: Images, context: Context) -> Images:
    return np.zeros_like(images)


def _bright(images: Images, context: Context) -> Images:
    return np.ones_like(images)


def _noise(images: Images, context: Context) -> Images:
    return context.rng.random(images.shape, dtype=np.float32)


def _dark(images: Images, context: Context) -> Images:
    return images * np.float32(0.15)


def _shift(images: Images, context: Context) -> Images:
    """Move the content an eighth of the width to the right; the border is mirrored."""
    width = images.shape[-1]
    by = max(1, width // 8)
    return np.pad(images, ((0, 0), (0, 0), (0, 0), (by, 0)), mode="symmetric")[..., :width]


def _lose_half(images: Images, context: Context) -> Images:
    lost = images.copy()
    lost[:, :, images.shape[2] // 2 :] = 0
    return lost


def _soil(images: Images, context: Context) -> Images:
    """Cover a fifth of the image with a grey spot that has no edges."""
    height, width = images.shape[2:]
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y - 0.45 * height) / height, (x - 0.4 * width) / width)
    share = np.clip((0.32 - distance) / 0.08, 0, 1).astype(np.float32)
    return images * (1 - share) + np.float32(0.3) * share


def _blur(images: Images, context: Context) -> Images:
    side = max(images.shape[2:]) / 16
    filled = np.nan_to_num(images)
    blurred = [[cv2.GaussianBlur(channel, (0, 0), side) for channel in image] for image in filled]
    return np.where(np.isfinite(images), np.array(blurred, np.float32), images)


def _mirror(images: Images, context: Context) -> Images:
    """Turn the image left to right, as a sensor that was mounted or configured wrongly."""
    return images[..., ::-1].copy()


def _lose_lines(images: Images, context: Context) -> Images:
    """Repeat every eighth line seven times."""
    rows = np.arange(images.shape[2]) // 8 * 8
    return images[:, :, rows]


def _flicker(images: Images, context: Context) -> Images:
    """Multiply by a factor between 0.2 and 3 that changes from frame to frame."""
    factors = np.exp(context.rng.uniform(np.log(0.2), np.log(3), len(images))).astype(np.float32)
    return np.clip(images * factors[:, None, None, None], None, 1)


FAILURES: Final[Mapping[str, Failure]] = {
    "black": _black,
    "bright": _bright,
    "noise": _noise,
    "dark": _dark,
    "frozen": lambda images, context: context.first,
    "other_frame": lambda images, context: context.other,
    "shifted": _shift,
    "half_lost": _lose_half,
}
FURTHER: Final[Mapping[str, Failure]] = {
    "late": lambda images, context: context.before,
    "soiled": _soil,
    "blurred": _blur,
    "mirrored": _mirror,
    "lines_lost": _lose_lines,
    "flickering": _flicker,
}
