"""The LiDAR: rays are cast from its own mounting, and its returns drawn into the reference camera's image."""

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.array_types import Doubles, Floats, Random
from sensorproof.data.simulator.geometry import Lidar, Pinhole, invert, lidar_to_camera, rotation, transform
from sensorproof.data.simulator.layout import Drive
from sensorproof.data.simulator.ray_casting import Hits, cast_rays
from sensorproof.data.simulator.scene import Label, Scene, Style
from sensorproof.data.simulator.surface_details import find_details
from sensorproof.data.simulator.texture import chance, noise
from sensorproof.data.simulator.weather import Weather

RANGE = (0.0, 100.0)
"""Of both channels: metres, and per cent of a white surface's reflection."""
NODATA = 0.0
"""The value of pixels without a return."""
_MIN_DISTANCE = 1.0
"""Metres."""
_REACH = 75.0
"""Metres at which a tenth of a white surface's reflection is just detected, head on in clear air."""
_RANGE_NOISE = 0.03
"""Standard deviation in metres."""
_MIN_INTENSITY = 0.5
"""Per cent, so that a return is never NODATA."""


def scan(scene: Scene, drive: Drive, time: float, weather: Weather, rng: Random) -> tuple[Doubles, Doubles]:
    """Simulate one sweep.

    Args:
        scene: the world.
        drive: the motion of the vehicle.
        time: of the sweep, in seconds after the start of the sequence.
        weather: rain and extinction.
        rng: draws noise and false returns.

    Returns:
        Measured points (N, 3) in the LiDAR frame, in metres, and their intensities (N,), in per cent.
    """
    lidar = Lidar()
    hits = cast_rays(scene, time, lidar, drive.pose(time) @ lidar_to_camera())
    reflectivity = _reflectivity(hits, weather, scene.road.style)
    distance = np.where(np.isfinite(hits.distance), hits.distance, 1e6)
    reflected = reflectivity * np.maximum(hits.incidence, 0.05) * np.exp(-2 * weather.extinction * distance)
    signal = reflected / distance**2 * np.exp(rng.normal(0, 0.25, distance.shape))
    returned = (signal > 0.1 / _REACH**2) & (distance > _MIN_DISTANCE) & (distance < RANGE[1])
    returned &= rng.random(distance.shape) > 0.01 + 0.12 * weather.rain
    leafy = hits.label == Label.VEGETATION
    spread = np.where(leafy, 0.15, _RANGE_NOISE)
    measured = distance + spread * rng.standard_normal(distance.shape)
    # The range-corrected intensity: the loss by distance is compensated, the loss by fog is not.
    intensity = 100 * reflected * np.exp(rng.normal(0, 0.12, distance.shape))
    drops = rng.random(distance.shape) < 0.004 * weather.rain + 0.5 * weather.extinction * (weather.extinction > 0.02)
    near = rng.uniform(_MIN_DISTANCE, 8, distance.shape)
    measured, intensity = np.where(drops, near, measured), np.where(drops, rng.uniform(1, 6, near.shape), intensity)
    kept = (returned & (measured > _MIN_DISTANCE)) | drops
    points = lidar.rays()[kept].astype(np.float64) * measured[kept][:, None]
    return points, np.clip(intensity[kept], _MIN_INTENSITY, RANGE[1]).astype(np.float64)


def _reflectivity(hits: Hits, weather: Weather, style: Style) -> Floats:
    """Return the reflectivity (beams, azimuths) at the laser's wavelength, as a share of a white surface's.

    Signs exceed 1, because they reflect light back to its source.
    """
    value = hits.value_of(hits.primitives.reflectivity, 0).astype(np.float32)
    for label, base in zip((Label.ROAD, Label.SIDEWALK, Label.TERRAIN), style.reflectivity, strict=True):
        value[hits.label == label] = base
    details = find_details(hits)
    value *= np.exp(0.15 * noise(hits.local, 0.6, 77))
    value[details.marking] = 0.65
    value[details.tyre] = 0.04
    value[details.trunk] = 0.25
    mirror = details.window | details.glass
    value[mirror] = np.where(chance(np.floor(hits.point[mirror] * 8).astype(np.int64), 1) < 0.5, 0.0, 0.06)
    value[details.sign] = 3.0
    value[details.headlamp | details.tail_lamp] = 1.2
    wet = (hits.index < 0) | (hits.label == Label.VEHICLE)
    value[wet] *= 1 - 0.5 * weather.rain
    return value


def compensate_motion(points: Doubles, drive: Drive, time: float, reference_time: float) -> Doubles:
    """Transform points (N, 3) from the LiDAR frame at `time` to the camera frame at `reference_time`."""
    world = transform(drive.pose(time) @ lidar_to_camera(), points)
    return transform(invert(drive.pose(reference_time)), world)


def draw_returns(points: Doubles, intensity: Doubles, camera: Pinhole, surface: Floats | None) -> NDArray[np.float16]:
    """Draw returns into the reference image.

    Args:
        points: (N, 3) in the reference camera's frame, metres.
        intensity: (N,), per cent.
        camera: the reference camera.
        surface: true depth (H, W) in metres. Returns well behind it are hidden from the camera and left out. None
            draws all.

    Returns:
        (H, W, 2): distance from the LiDAR in metres and intensity in per cent; NODATA where there is no return.
    """
    pixels, depth = camera.project(points)
    reach = np.linalg.norm(transform(invert(lidar_to_camera()), points), axis=1)
    row, column = np.floor(pixels[:, 1]).astype(int), np.floor(pixels[:, 0]).astype(int)
    visible = (depth > 0.3) & (row >= 0) & (row < camera.height) & (column >= 0) & (column < camera.width)
    if surface is not None:
        behind = np.full(len(depth), -np.inf)
        behind[visible] = depth[visible] - surface[row[visible], column[visible]]
        visible &= behind < 0.3 + 0.04 * depth
    image = np.zeros((camera.height, camera.width, 2), np.float16)
    order = np.argsort(-depth[visible], kind="stable")
    values = np.stack([reach, intensity], 1)[visible][order].astype(np.float16)
    # A return is a small spot. Nearer returns are drawn over farther ones.
    spot = max(1, round(camera.width / 160))
    first = np.floor(pixels[visible][order] - (spot - 1) / 2).astype(int)
    across, down = np.meshgrid(np.arange(spot), np.arange(spot))
    x, y = first[:, :1] + across.ravel(), first[:, 1:] + down.ravel()
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    image[y[inside], x[inside]] = np.repeat(values[:, None], spot * spot, 1)[inside]
    return image


def add_jitter(points: Doubles, rng: Random) -> Doubles:
    """Turn and shift each stretch of the sweep (N, 3) a little, as if the head vibrated."""
    bearing = np.arctan2(points[:, 1], points[:, 0])
    moved = points.copy()
    stretch = np.floor(np.degrees(bearing) / 6).astype(int)
    for number in np.unique(stretch):
        turn = rotation(*np.radians(rng.normal(0, (1.0, 1.5, 2.0))))
        moved[stretch == number] = points[stretch == number] @ turn.T + rng.normal(0, 0.1, 3)
    return moved
