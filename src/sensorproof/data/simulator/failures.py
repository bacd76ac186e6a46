"""Sensor failures on single frames, after those of the DELIVER data set.

DELIVER (Zhang et al., CVPR 2023) has an event camera of low resolution; here it is the thermal camera.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, rotate, zoom

from sensorproof.data.simulator.array_types import Floats, Random

ABSENT = {"missing_thermal": "thermal", "missing_depth": "depth", "missing_lidar": "lidar"}
"""{failure: the sensor that has no file in that frame}."""
FAILURES = (
    "motion_blur",
    "over_exposure",
    "under_exposure",
    "lidar_jitter",
    "thermal_low_resolution",
    *ABSENT,
)
GAIN = {"over_exposure": 6.0, "under_exposure": 0.06}
"""{failure: the factor on the camera's exposure}."""


def draw_failure(share: float, rng: Random) -> str:
    """Draw the failure of a frame: each equally likely in `share` of the frames, otherwise empty for none."""
    chance, which = rng.random(), rng.integers(len(FAILURES))
    return FAILURES[which] if chance < share else ""


def motion_blur(linear: Floats, rng: Random) -> Floats:
    """Blur linear light (H, W, 3) along a random, nearly horizontal line of about a fifteenth of the width."""
    length = max(3, round(linear.shape[1] * rng.uniform(0.05, 0.09)))
    angle = rng.normal(0, 12)
    rotated = rotate(linear, angle, axes=(1, 0), reshape=False, order=1, mode="nearest")
    blurred = convolve1d(rotated, np.full(length, 1 / length, np.float32), axis=1, mode="nearest")
    return np.asarray(rotate(blurred, -angle, axes=(1, 0), reshape=False, order=1, mode="nearest"), np.float32)


def low_resolution(image: NDArray[np.uint16], factor: int = 8) -> NDArray[np.uint16]:
    """Average blocks of factor x factor pixels of (H, W) and enlarge them again."""
    height, width = image.shape
    padded = np.pad(image.astype(np.float64), ((0, -height % factor), (0, -width % factor)), mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    small = padded.reshape(rows, factor, columns, factor).mean((1, 3))
    large = zoom(small, factor, order=1, mode="nearest", grid_mode=True)[:height, :width]
    return np.rint(large).astype(np.uint16)
