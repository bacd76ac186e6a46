"""The LiDAR: cast from its own mounting, then its returns drawn into the reference camera's image."""

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.geometry import Doubles, Lidar, Pinhole, inverse, lidar_to_camera, move, rotation
from sensorproof.data.simulator.layout import Drive
from sensorproof.data.simulator.ray_casting import Hits, cast
from sensorproof.data.simulator.scene import Floats, Label, Scene, Style
from sensorproof.data.simulator.surface_details import patterns
from sensorproof.data.simulator.texture import chance, noise
from sensorproof.data.simulator.weather import Weather

Random = np.random.Generator
RANGE = (0.0, 100.0)
"""Of both channels: metres, and per cent of a white surface's reflection."""
NODATA = 0.0
NEAREST = 1.0
REACH = 75.0
"""Metres at which a tenth of a white surface's reflection is just detected, head on in clear air."""
_RANGE_NOISE = 0.03
_LEAST_INTENSITY = 0.5
"""Per cent: a return is never NODATA."""


def scan(scene: Scene, drive: Drive, time: float, weather: Weather, rng: Random) -> tuple[Doubles, Doubles]:
    """One sweep: measured points (N, 3) in the LiDAR frame, metres, and their intensities (N,), per cent."""
    lidar = Lidar()
    hits = cast(scene, time, lidar, drive.pose(time) @ lidar_to_camera())
    reflectivity = _reflect(hits, weather, scene.road.style)
    distance = np.where(np.isfinite(hits.distance), hits.distance, 1e6)
    shining = reflectivity * np.maximum(hits.incidence, 0.05) * np.exp(-2 * weather.extinction * distance)
    signal = shining / distance**2 * np.exp(rng.normal(0, 0.25, distance.shape))
    returned = (signal > 0.1 / REACH**2) & (distance > NEAREST) & (distance < RANGE[1])
    returned &= rng.random(distance.shape) > 0.01 + 0.12 * weather.rain
    leafy = hits.label == Label.VEGETATION
    spread = np.where(leafy, 0.15, _RANGE_NOISE)
    measured = distance + spread * rng.standard_normal(distance.shape)
    # The range-corrected intensity: what the beam lost to distance is given back, what it lost to fog is not.
    intensity = 100 * shining * np.exp(rng.normal(0, 0.12, distance.shape))
    drops = rng.random(distance.shape) < 0.004 * weather.rain + 0.5 * weather.extinction * (weather.extinction > 0.02)
    near = rng.uniform(NEAREST, 8, distance.shape)
    measured, intensity = np.where(drops, near, measured), np.where(drops, rng.uniform(1, 6, near.shape), intensity)
    kept = (returned & (measured > NEAREST)) | drops
    points = lidar.rays()[kept].astype(np.float64) * measured[kept][:, None]
    return points, np.clip(intensity[kept], _LEAST_INTENSITY, RANGE[1]).astype(np.float64)


def _reflect(hits: Hits, weather: Weather, style: Style) -> Floats:
    """Reflectivity (beams, azimuths) at the laser's wavelength, of a white surface's; signs throw light back."""
    value = hits.of(hits.primitives.reflectivity, 0).astype(np.float32)
    for label, base in zip((Label.ROAD, Label.SIDEWALK, Label.TERRAIN), style.reflectivity, strict=True):
        value[hits.label == label] = base
    found = patterns(hits)
    value *= np.exp(0.15 * noise(hits.local, 0.6, 77))
    value[found.marking] = 0.65
    value[found.tyre] = 0.04
    value[found.trunk] = 0.25
    mirror = found.window | found.glass
    value[mirror] = np.where(chance(np.floor(hits.point[mirror] * 8).astype(np.int64), 1) < 0.5, 0.0, 0.06)
    value[found.sign] = 3.0
    value[found.headlamp | found.tail_lamp] = 1.2
    wet = (hits.index < 0) | (hits.label == Label.VEHICLE)
    value[wet] *= 1 - 0.5 * weather.rain
    return value


def to_reference(points: Doubles, drive: Drive, time: float, reference_time: float) -> Doubles:
    """Points of a sweep at `time` in the camera frame at `reference_time`: the vehicle's own motion is taken out."""
    world = move(drive.pose(time) @ lidar_to_camera(), points)
    return move(inverse(drive.pose(reference_time)), world)


def draw(points: Doubles, intensity: Doubles, camera: Pinhole, surface: Floats | None) -> NDArray[np.float16]:
    """Draw returns into the reference image: (H, W, 2), range from the LiDAR in metres and intensity in per cent.

    Args:
        points: (N, 3) in the reference camera's frame, metres.
        intensity: (N,).
        surface: true depth (H, W); returns well behind it are hidden from the camera and left out. None draws all.
    """
    pixels, depth = camera.project(points)
    reach = np.linalg.norm(move(inverse(lidar_to_camera()), points), axis=1)
    row, column = np.floor(pixels[:, 1]).astype(int), np.floor(pixels[:, 0]).astype(int)
    seen = (depth > 0.3) & (row >= 0) & (row < camera.height) & (column >= 0) & (column < camera.width)
    if surface is not None:
        behind = np.full(len(depth), -np.inf)
        behind[seen] = depth[seen] - surface[row[seen], column[seen]]
        seen &= behind < 0.3 + 0.04 * depth
    image = np.zeros((camera.height, camera.width, 2), np.float16)
    order = np.argsort(-depth[seen], kind="stable")
    values = np.stack([reach, intensity], 1)[seen][order].astype(np.float16)
    # A return is a small spot; nearer returns are drawn over farther ones.
    spot = max(1, round(camera.width / 160))
    first = np.floor(pixels[seen][order] - (spot - 1) / 2).astype(int)
    across, down = np.meshgrid(np.arange(spot), np.arange(spot))
    x, y = first[:, :1] + across.ravel(), first[:, 1:] + down.ravel()
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    image[y[inside], x[inside]] = np.repeat(values[:, None], spot * spot, 1)[inside]
    return image


def shaken(points: Doubles, rng: Random) -> Doubles:
    """LiDAR jitter: the head vibrates, so that each stretch of the sweep is turned and shifted by a little."""
    bearing = np.arctan2(points[:, 1], points[:, 0])
    moved = points.copy()
    stretch = np.floor(np.degrees(bearing) / 6).astype(int)
    for each in np.unique(stretch):
        turn = rotation(*np.radians(rng.normal(0, (1.0, 1.5, 2.0))))
        moved[stretch == each] = points[stretch == each] @ turn.T + rng.normal(0, 0.1, 3)
    return moved
