"""The camera: surface colour and texture, sun, lamps and headlights, fog and rain, lens, noise and response."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sensorproof.data.simulator.array_types import Doubles, Floats, Mask, Random
from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.ray_casting import Hits
from sensorproof.data.simulator.scene import Label, Style
from sensorproof.data.simulator.surface_details import SurfaceDetails
from sensorproof.data.simulator.texture import noise, visible_noise
from sensorproof.data.simulator.weather import Weather

_LENS_BLUR = 0.55
"""Standard deviation of the Gaussian, in pixels."""
_LAMP_SPACING = 24.0
"""Metres between street lamps."""
_LAMPLIGHT = np.array([1.0, 0.82, 0.55], np.float32)
_HEADLIGHT = np.array([1.0, 0.97, 0.9], np.float32)
_SKYLIGHT = np.array([0.9, 1.0, 1.12], np.float32)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


def incoming_light(
    hits: Hits, details: SurfaceDetails, camera: Pinhole, pose: Doubles, weather: Weather, style: Style
) -> Floats:
    """Compute the light that reaches the lens.

    Args:
        hits: what the rays of the camera's pixels hit.
        details: of the same grid.
        camera: gives the size of a pixel.
        pose: (4, 4) camera to world; headlights shine along its z axis.
        weather: light and extinction.
        style: colours and the direction of the sun.

    Returns:
        (H, W, 3) linear light before exposure; 1 is about a white surface in the sun.
    """
    sky = hits.label == Label.SKY
    shaded = _albedo(hits, details, camera, style, weather) * _illumination(hits, details, pose, weather, style)
    if weather.dark:
        shaded[details.lit] = _LAMPLIGHT * 0.25
        shaded[details.headlamp] = _HEADLIGHT * 2.0
        shaded[details.tail_lamp] = (0.5, 0.02, 0.02)
    glow = _sky_light(hits, weather, style)
    through = np.exp(-weather.extinction * np.where(sky, 0, hits.distance))[..., None]
    air = np.float32(weather.ambient) * _SKYLIGHT * 0.85
    return np.where(sky[..., None], glow, shaded * through + air * (1 - through)).astype(np.float32)


def _albedo(hits: Hits, details: SurfaceDetails, camera: Pinhole, style: Style, weather: Weather) -> Floats:
    """Return the diffuse reflectance (H, W, 3) with texture; wet ground is darker."""
    colour = hits.value_of(hits.primitives.colour, 0).astype(np.float32)
    near = np.where(np.isfinite(hits.distance), hits.distance, 0) / np.float32(camera.intrinsics[0, 0])
    footprint = np.asarray(near / np.maximum(hits.incidence, 0.2), np.float32)
    p, local = hits.point, hits.local
    rough = np.zeros(hits.label.shape, np.float32)
    for label, base in (
        (Label.ROAD, style.road_colour),
        (Label.SIDEWALK, style.sidewalk_colour),
        (Label.TERRAIN, style.terrain_colour),
    ):
        colour[hits.label == label] = base

    def add(mask: Mask, points: Floats, octaves: tuple[tuple[float, float], ...]) -> None:
        for size, strength in octaves:
            rough[mask] += strength * visible_noise(points[mask], size, footprint[mask], int(size * 100))

    add(hits.label == Label.ROAD, p, ((0.15, 0.1), (1.2, 0.1), (6.0, 0.12)))
    add(hits.label == Label.SIDEWALK, p, ((0.2, 0.06), (2.0, 0.1)))
    add(hits.label == Label.TERRAIN, p, ((0.12, 0.25), (0.5, 0.2), (3.0, 0.2)))
    add(hits.label == Label.BUILDING, local, ((0.3, 0.07), (2.5, 0.09)))
    add(hits.label == Label.VEGETATION, local, ((0.15, 0.3), (0.45, 0.4)))
    add(hits.label == Label.VEHICLE, local, ((1.0, 0.04),))
    add(hits.label == Label.PEDESTRIAN, local, ((0.2, 0.15),))
    along, across = hits.road.across(p[..., 0], p[..., 1]), p[..., 0]
    joint = (np.minimum(along % 1.0, across % 1.0) < 0.06) & (footprint < 0.12) & (hits.label == Label.SIDEWALK)
    rough[joint] -= 0.3
    colour *= np.exp(rough)[..., None]
    colour[details.marking] = 0.62
    colour[details.window] = (0.05, 0.06, 0.075)
    colour[details.glass] = (0.03, 0.035, 0.04)
    colour[details.tyre] = 0.012
    ground = (hits.index == -1) & (hits.label != Label.TERRAIN)
    puddles = np.where(noise(p, 2.5, 11) > 0.6, 0.35, 0.6)
    colour[ground] *= (1 - weather.rain * (1 - puddles[ground]))[:, None]
    return np.clip(colour, 0.003, 0.95)


def _illumination(hits: Hits, details: SurfaceDetails, pose: Doubles, weather: Weather, style: Style) -> Floats:
    """Return the light on each surface (H, W, 3)."""
    facing = np.maximum(hits.normal @ style.sun, 0)[..., None]
    # Surfaces that look down or stand close to the ground see less of the sky.
    open_sky = (0.65 + 0.35 * hits.normal[..., 2])[..., None]
    total = weather.sun * facing * np.array([1.05, 1.0, 0.9], np.float32) + weather.ambient * open_sky * _SKYLIGHT
    if not weather.dark:
        return total.astype(np.float32)
    distance = np.where(np.isfinite(hits.distance), hits.distance, 0)
    ahead = np.clip(hits.direction @ pose[:3, 2].astype(np.float32), 0, 1) ** 6
    beam = 0.55 * ahead / (1 + (distance / 11) ** 2) * np.maximum(hits.incidence, 0.25)
    beam = np.where(details.sign, 5 * beam, beam)
    x, y = hits.point[..., 0], hits.point[..., 1]
    s = (x + _LAMP_SPACING / 2) % _LAMP_SPACING - _LAMP_SPACING / 2
    beside = np.abs(hits.road.across(x, y)) - style.road_half
    pool = 0.14 * np.exp(-(s**2 + beside**2) / (2 * 5.0**2))
    return (total + beam[..., None] * _HEADLIGHT + pool[..., None] * _LAMPLIGHT).astype(np.float32)


def _sky_light(hits: Hits, weather: Weather, style: Style) -> Floats:
    """Return the light of the sky (H, W, 3): blue with clouds by day, even in fog, grey in rain, dark at night."""
    up = np.clip(hits.direction[..., 2], 0, 1)[..., None]
    clouds = noise(hits.direction * 40, 12, int(style.air * 10))[..., None]
    if weather.dark:
        glow = np.array([0.02, 0.017, 0.015], np.float32) * (1 - up) ** 4 + 0.002
        return np.broadcast_to(glow, hits.direction.shape).astype(np.float32)
    grey = np.float32(weather.ambient) * _SKYLIGHT * (0.85 + weather.rain * 0.25 + weather.rain * 0.12 * clouds)
    if not weather.sun > 0.5:
        return grey.astype(np.float32)
    blue = np.array([0.28, 0.46, 0.85], np.float32) * (1 - 0.45 * up) + 0.3 * (1 - up) ** 3
    cover = np.clip(0.45 + 0.6 * clouds, 0, 1)
    return ((1 - cover) * blue + cover * 0.85).astype(np.float32)


def expose(linear: Floats, weather: Weather, rng: Random, gain: float = 1.0) -> NDArray[np.uint8]:
    """Turn light into the camera's image: automatic exposure, lens blur, raindrops, noise and response curve.

    Args:
        linear: (H, W, 3) linear light.
        weather: brightness to aim at, noise and rain.
        rng: draws noise and drops.
        gain: factor on the exposure.

    Returns:
        (H, W, 3), 8 bits.
    """
    # The exponent below 1 corrects only in part: a camera does not make night as bright as day.
    automatic = (weather.exposure / max(float((linear @ _LUMA).mean()), 1e-4)) ** 0.8
    image = gaussian_filter(linear * np.float32(automatic * gain), (_LENS_BLUR, _LENS_BLUR, 0))
    if weather.rain:
        image = _add_rain(image, weather.rain, rng)
    noise_level = weather.camera_noise * (0.5 + 0.8 * np.sqrt(np.clip(image, 0, 1)))
    encoded = np.clip(image, 0, None) ** (1 / 2.2) + noise_level * rng.standard_normal(image.shape)
    return np.clip(np.rint(encoded * 255), 0, 255).astype(np.uint8)


def _add_rain(image: Floats, amount: float, rng: Random) -> Floats:
    """Add streaks of falling drops, and drops on the lens behind which the image is blurred."""
    height, width = image.shape[:2]
    unit = width / 160
    v, u = np.mgrid[0:height, 0:width].astype(np.float32)
    streaks = np.zeros((height, width), np.float32)
    slant = rng.normal(0, 0.12)
    for _ in range(int(amount * 55)):
        top, left, length = rng.uniform(-10, height), rng.uniform(0, width), rng.uniform(5, 16) * unit
        rows = np.arange(max(0, int(top)), min(height, int(top + length)))
        columns = np.clip((left + slant * (rows - top)).astype(int), 0, width - 1)
        streaks[rows, columns] += rng.uniform(0.25, 0.7)
    haze = np.float32(image.mean() * 1.8)
    share = gaussian_filter(streaks, (0.5 * unit, 0.4 * unit))[..., None]
    image = image * (1 - 0.5 * share) + haze * 0.5 * share
    smeared = gaussian_filter(image, (3.5 * unit, 3.5 * unit, 0))
    drops = np.zeros((height, width), np.float32)
    for _ in range(int(amount * rng.integers(3, 8))):
        row, column, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(2.5, 8) * unit
        drops = np.maximum(drops, np.clip(1.5 - np.hypot(v - row, u - column) / radius, 0, 1))
    weight = drops[..., None]
    return (image * (1 - weight) + smeared * weight).astype(np.float32)
