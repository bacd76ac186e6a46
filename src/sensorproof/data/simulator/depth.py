"""The depth camera (stereo): distance along the optical axis, with range noise, holes and stereo shadows."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Floats, Label
from sensorproof.data.simulator.surface_details import Patterns
from sensorproof.data.simulator.weather import Weather

Random = np.random.Generator
_MILLIMETRES = 1000.0
RANGE = (0.0, 60000.0)
NODATA = 0
BASELINE = 0.12
"""Metres between the two lenses; the second is on the right."""
NEAREST = 0.6
NOISE = 0.003
"""Standard deviation per square metre of depth, in metres."""


def measure(hits: Hits, found: Patterns, camera: Pinhole, weather: Weather, rng: Random) -> NDArray[np.uint16]:
    """What the depth camera delivers (H, W): millimetres along the optical axis, NODATA where there is none."""
    z = axial(hits, camera)
    noise = gaussian_filter(rng.standard_normal(z.shape), 0.7) * 2.0
    seen = np.where(np.isfinite(z), z, 0)
    seen = seen + noise * (0.01 + NOISE * weather.depth_noise * seen**2)
    lost = (z > weather.depth_limit) | (z < NEAREST) | (seen <= 0) | _shadows(z, camera)
    lost |= patches(z.shape, weather.depth_holes, rng)
    lost |= found.glass & (rng.random(z.shape) < 0.6)
    lost |= found.window & (rng.random(z.shape) < 0.35)
    lost |= (hits.label == Label.ROAD) & (rng.random(z.shape) < 0.25 * weather.rain)
    millimetres = np.clip(np.rint(np.where(lost, 1, seen) * _MILLIMETRES), 1, RANGE[1])
    return np.where(lost, NODATA, millimetres).astype(np.uint16)


def axial(hits: Hits, camera: Pinhole) -> Floats:
    """True depth (H, W) along the optical axis, metres, infinite for the sky."""
    return (hits.distance * camera.rays()[..., 2]).astype(np.float32)


def _shadows(z: Floats, camera: Pinhole) -> NDArray[np.bool_]:
    """Where the second lens cannot see: left of the edge of something nearer, as wide as their disparities differ."""
    disparity = camera.intrinsics[0, 0] * BASELINE / z
    hidden = np.zeros(z.shape, bool)
    for shift in range(1, max(2, z.shape[1] // 40)):
        hidden[:, :-shift] |= disparity[:, shift:] - disparity[:, :-shift] >= shift
    return hidden


def patches(shape: tuple[int, int], share: float, rng: Random) -> NDArray[np.bool_]:
    """Random blobs over about the given share of the image."""
    field = gaussian_filter(rng.standard_normal(shape), shape[1] / 60)
    return field < np.quantile(field, share)
