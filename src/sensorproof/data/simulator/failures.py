"""Sensor failures after those of DELIVER, on single frames; its event camera's low resolution is the thermal's here."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, rotate, zoom

from sensorproof.data.simulator.scene import Floats

Random = np.random.Generator
CAMERA = ("motion_blur", "over_exposure", "under_exposure")
_LIDAR = ("lidar_jitter",)
_THERMAL = ("thermal_low_resolution",)
ABSENT = {"missing_thermal": "thermal", "missing_depth": "depth", "missing_lidar": "lidar"}
"""The frame's cell of that sensor stays empty."""
FAILURES = (*CAMERA, *_LIDAR, *_THERMAL, *ABSENT)
GAIN = {"over_exposure": 6.0, "under_exposure": 0.06}
"""Factor on the camera's exposure."""


def draw_failure(share: float, rng: Random) -> str:
    """Which failure a frame has: empty for none, each equally likely on `share` of the frames."""
    hit, which = rng.random(), rng.integers(len(FAILURES))
    return FAILURES[which] if hit < share else ""


def motion_blur(linear: Floats, rng: Random) -> Floats:
    """Blur linear light (H, W, 3) along a random, mostly level line of about a fifteenth of the width."""
    length = max(3, round(linear.shape[1] * rng.uniform(0.05, 0.09)))
    angle = rng.normal(0, 12)
    turned = rotate(linear, angle, axes=(1, 0), reshape=False, order=1, mode="nearest")
    blurred = convolve1d(turned, np.full(length, 1 / length, np.float32), axis=1, mode="nearest")
    return np.asarray(rotate(blurred, -angle, axes=(1, 0), reshape=False, order=1, mode="nearest"), np.float32)


def low_resolution(image: NDArray[np.uint16], factor: int = 8) -> NDArray[np.uint16]:
    """Average blocks of factor x factor pixels of (H, W) and enlarge them again."""
    height, width = image.shape
    padded = np.pad(image.astype(np.float64), ((0, -height % factor), (0, -width % factor)), mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    small = padded.reshape(rows, factor, columns, factor).mean((1, 3))
    large = zoom(small, factor, order=1, mode="nearest", grid_mode=True)[:height, :width]
    return np.rint(large).astype(np.uint16)
