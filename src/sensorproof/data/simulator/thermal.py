"""The thermal camera: apparent temperatures in the reference camera's view, then optics and noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sensorproof.data.simulator.array_types import Floats, Random
from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Label, Style
from sensorproof.data.simulator.surface_details import SurfaceDetails
from sensorproof.data.simulator.texture import chance, noise
from sensorproof.data.simulator.weather import Weather

RANGE = (23315.0, 33315.0)
"""Centikelvin: -40 to 60 °C."""
_CENTIKELVIN_PER_KELVIN = 100.0
_FREEZING = 273.15
"""Kelvin at 0 °C."""
_LENS_BLUR = 1.5
"""Standard deviation of the Gaussian, in pixels."""
_NOISE = 0.2
"""Standard deviation in kelvin, of each pixel in each frame."""
_COLUMN_NOISE = 0.12
"""Standard deviation in kelvin, of each column, the same in all frames."""


def temperature(hits: Hits, details: SurfaceDetails, weather: Weather, style: Style) -> Floats:
    """Compute apparent temperatures.

    Args:
        hits: what the rays of the camera's pixels hit.
        details: of the same grid.
        weather: heat of surfaces, sun, sky and extinction.
        style: air temperature and the direction of the sun.

    Returns:
        (H, W) in °C.
    """
    air = style.air - weather.cooler
    above = np.zeros(hits.label.shape, np.float32)
    for label, value in weather.heat.items():
        above[hits.label == label] = value
    above += (
        _own_heat(hits, details) + weather.sunshine * _sunlit(hits, style) + weather.thermal_texture * _texture(hits)
    )
    above[details.window] += 2.0 if weather.dark else -1.5
    above[details.marking] -= 0.15 * weather.sunshine
    overhead = np.sqrt(np.clip(hits.direction[..., 2], 0, 1))
    sky = hits.label == Label.SKY
    # Polished metal and glass reflect part of the cold sky.
    mirror = details.glass | details.sign | (hits.label == Label.POLE)
    above[mirror] -= 0.12 * weather.sky_cooling
    above[sky] = -weather.sky_cooling * (0.25 + 0.75 * overhead[sky])
    above[sky] += 0.06 * weather.sky_cooling * noise(hits.direction[sky] * 40, 14, int(style.air * 10))
    distance = np.where(sky, 0, np.where(np.isfinite(hits.distance), hits.distance, 0))
    return (air + above * np.exp(-weather.thermal_extinction * distance)).astype(np.float32)


def _own_heat(hits: Hits, details: SurfaceDetails) -> Floats:
    """Return the heat of engines, tyres and bodies in kelvin; vehicles are warmer in front, and each object differs."""
    warmth = hits.value_of(hits.primitives.warmth, 0).astype(np.float32)
    length = hits.value_of(hits.primitives.size, 1)[..., 0]
    vehicle = hits.label == Label.VEHICLE
    forward = np.clip(0.55 + 0.45 * hits.local[..., 0] / length, 0.1, 1)
    warmth[vehicle] *= forward[vehicle]
    warmth[details.tyre] += 3
    variation = chance(hits.value_of(hits.primitives.seed, 0)[..., None].astype(np.int64), 9)
    offset = np.where(hits.index >= 0, (variation - 0.5) * 4, 0)
    return (warmth + offset).astype(np.float32)


def _sunlit(hits: Hits, style: Style) -> Floats:
    """Return the share of the sun that upright surfaces face; the heat of flat and leafy ones includes the sun."""
    standing = np.isin(hits.label, [Label.BUILDING, Label.VEHICLE, Label.POLE])
    return np.where(standing, np.maximum(hits.normal @ style.sun, 0), 0).astype(np.float32)


def _texture(hits: Hits) -> Floats:
    """Return variation within surfaces in kelvin; it differs from the camera's, as emissivity and moisture do."""
    varied = np.zeros(hits.label.shape, np.float32)
    for label, size, strength in (
        (Label.ROAD, 1.8, 0.5),
        (Label.SIDEWALK, 1.2, 0.5),
        (Label.TERRAIN, 0.7, 1.1),
        (Label.BUILDING, 1.5, 0.6),
        (Label.VEGETATION, 0.5, 0.9),
        (Label.VEHICLE, 0.8, 0.6),
        (Label.PEDESTRIAN, 0.25, 1.0),
    ):
        mask = hits.label == label
        varied[mask] = strength * noise(hits.local[mask], size, 40 + label)
    return varied


def measure(true: Floats, columns: Floats, rng: Random) -> NDArray[np.uint16]:
    """Simulate the thermal camera's image: lens blur, then noise per pixel and per column.

    Args:
        true: (H, W) apparent temperatures in °C.
        columns: (W,) pattern of the columns, standard normal.
        rng: draws the noise.

    Returns:
        (H, W) centikelvin, 16 bits.
    """
    measured = gaussian_filter(true, _LENS_BLUR) + columns * _COLUMN_NOISE + _NOISE * rng.standard_normal(true.shape)
    return np.rint(np.clip((measured + _FREEZING) * _CENTIKELVIN_PER_KELVIN, *RANGE)).astype(np.uint16)
