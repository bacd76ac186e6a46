"""The thermal camera: apparent temperatures in the reference camera's view, then optics and noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Floats, Label, Style
from sensorproof.data.simulator.surface_details import Patterns
from sensorproof.data.simulator.texture import chance, noise
from sensorproof.data.simulator.weather import Weather

Random = np.random.Generator
_CENTIKELVIN = 100.0
_FREEZING = 273.15
RANGE = (23315.0, 33315.0)
"""Centikelvin: -40 to 60 °C."""
LENS_BLUR = 1.5
NOISE = 0.2
"""Kelvin, of each pixel in each frame."""
_COLUMN_NOISE = 0.12
"""Kelvin, of each column, the same in all frames."""


def temperature(hits: Hits, found: Patterns, weather: Weather, style: Style) -> Floats:
    """Apparent temperature (H, W) in °C."""
    air = style.air - weather.cooler
    above = np.zeros(hits.label.shape, np.float32)
    for label, value in weather.heat.items():
        above[hits.label == label] = value
    above += _own_heat(hits, found) + weather.sunshine * _sunlit(hits, style) + weather.thermal_texture * texture(hits)
    above[found.window] += 2.0 if weather.dark else -1.5
    above[found.marking] -= 0.15 * weather.sunshine
    overhead = np.sqrt(np.clip(hits.direction[..., 2], 0, 1))
    sky = hits.label == Label.SKY
    # Polished metal and glass mirror some of the cold sky.
    mirror = found.glass | found.sign | (hits.label == Label.POLE)
    above[mirror] -= 0.12 * weather.sky_cooling
    above[sky] = -weather.sky_cooling * (0.25 + 0.75 * overhead[sky])
    above[sky] += 0.06 * weather.sky_cooling * noise(hits.direction[sky] * 40, 14, int(style.air * 10))
    distance = np.where(sky, 0, np.where(np.isfinite(hits.distance), hits.distance, 0))
    return (air + above * np.exp(-weather.thermal_extinction * distance)).astype(np.float32)


def _own_heat(hits: Hits, found: Patterns) -> Floats:
    """Kelvin by engines and bodies: bonnets warmer than boots, tyres of moving vehicles, each thing a little apart."""
    warmth = hits.of(hits.primitives.warmth, 0).astype(np.float32)
    length = hits.of(hits.primitives.size, 1)[..., 0]
    vehicle = hits.label == Label.VEHICLE
    forward = np.clip(0.55 + 0.45 * hits.local[..., 0] / length, 0.1, 1)
    warmth[vehicle] *= forward[vehicle]
    warmth[found.tyre] += 3
    each = chance(hits.of(hits.primitives.seed, 0)[..., None].astype(np.int64), 9)
    apart = np.where(hits.index >= 0, (each - 0.5) * 4, 0)
    return (warmth + apart).astype(np.float32)


def _sunlit(hits: Hits, style: Style) -> Floats:
    """Share of the sun that a surface faces; what is flat or leafy has its heat in the table already."""
    standing = np.isin(hits.label, [Label.BUILDING, Label.VEHICLE, Label.POLE])
    return np.where(standing, np.maximum(hits.normal @ style.sun, 0), 0).astype(np.float32)


def texture(hits: Hits) -> Floats:
    """Kelvin of variation within surfaces: other patterns than the camera's, as emissivity and moisture vary."""
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
    """What the thermal camera delivers of temperatures (H, W) in °C: centikelvin, 16 bits."""
    seen = gaussian_filter(true, LENS_BLUR) + columns * _COLUMN_NOISE + NOISE * rng.standard_normal(true.shape)
    return np.rint(np.clip((seen + _FREEZING) * _CENTIKELVIN, *RANGE)).astype(np.uint16)
