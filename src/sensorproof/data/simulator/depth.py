"""The depth camera (stereo): distance along the optical axis, with range noise, holes and stereo shadows."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sensorproof.data.simulator.array_types import Floats, Mask, Random
from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Label
from sensorproof.data.simulator.surface_details import SurfaceDetails
from sensorproof.data.simulator.weather import Weather

RANGE = (0.0, 60000.0)
"""Millimetres."""
NODATA = 0
"""The value of pixels without a measurement."""
_MILLIMETRES_PER_METRE = 1000.0
_BASELINE = 0.12
"""Metres between the two lenses; the second is on the right."""
_MIN_DEPTH = 0.6
"""Metres."""
_NOISE = 0.003
"""Standard deviation per square metre of depth, in metres."""


def measure(hits: Hits, details: SurfaceDetails, camera: Pinhole, weather: Weather, rng: Random) -> NDArray[np.uint16]:
    """Simulate the depth camera's image.

    Args:
        hits: what the rays of the reference camera's pixels hit.
        details: of the same grid.
        camera: the reference camera, whose view the depth camera shares.
        weather: noise, holes and range.
        rng: draws noise and holes.

    Returns:
        (H, W) millimetres along the optical axis, NODATA where there is no measurement.
    """
    z = axial_depth(hits, camera)
    noise = gaussian_filter(rng.standard_normal(z.shape), 0.7) * 2.0
    measured = np.where(np.isfinite(z), z, 0)
    measured = measured + noise * (0.01 + _NOISE * weather.depth_noise * measured**2)
    missing = (z > weather.depth_limit) | (z < _MIN_DEPTH) | (measured <= 0) | _occluded(z, camera)
    missing |= _random_blobs(z.shape, weather.depth_holes, rng)
    missing |= details.glass & (rng.random(z.shape) < 0.6)
    missing |= details.window & (rng.random(z.shape) < 0.35)
    missing |= (hits.label == Label.ROAD) & (rng.random(z.shape) < 0.25 * weather.rain)
    millimetres = np.clip(np.rint(np.where(missing, 1, measured) * _MILLIMETRES_PER_METRE), 1, RANGE[1])
    return np.where(missing, NODATA, millimetres).astype(np.uint16)


def axial_depth(hits: Hits, camera: Pinhole) -> Floats:
    """Return the true depth (H, W) along the optical axis in metres, infinite for the sky."""
    return (hits.distance * camera.rays()[..., 2]).astype(np.float32)


def _occluded(z: Floats, camera: Pinhole) -> Mask:
    """Return where the second lens cannot see: left of the edge of something nearer.

    The occluded strip is as wide as the disparities (focal length x baseline / depth) of the two surfaces differ.
    """
    disparity = camera.intrinsics[0, 0] * _BASELINE / z
    hidden = np.zeros(z.shape, bool)
    for shift in range(1, max(2, z.shape[1] // 40)):
        hidden[:, :-shift] |= disparity[:, shift:] - disparity[:, :-shift] >= shift
    return hidden


def _random_blobs(shape: tuple[int, int], share: float, rng: Random) -> Mask:
    """Draw random blobs that cover about the given share of the image."""
    field = gaussian_filter(rng.standard_normal(shape), shape[1] / 60)
    return field < np.quantile(field, share)
