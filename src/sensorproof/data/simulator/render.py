"""One frame: all sensors and the label from one scene at one time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator import camera as optics
from sensorproof.data.simulator import depth, lidar, thermal
from sensorproof.data.simulator.failures import ABSENT, GAIN, low_resolution, motion_blur
from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.layout import Drive
from sensorproof.data.simulator.ray_casting import Hits, cast
from sensorproof.data.simulator.scene import IGNORE, Floats, Label, Scene
from sensorproof.data.simulator.surface_details import patterns
from sensorproof.data.simulator.weather import Weather

Random = np.random.Generator
_LABELLED_TO = 80.0
"""Metres beyond which nobody could tell what a pixel shows; the sky is always labelled."""


@dataclass(frozen=True)
class Sequence:
    """What stays the same along a sequence."""

    scene: Scene
    drive: Drive
    weather: Weather
    camera: Pinhole
    columns: Floats
    """(W,) pattern of the thermal camera's columns, standard normal."""


@dataclass(frozen=True)
class Frame:
    """`images` by sensor: camera (H, W, 3) uint8, thermal and depth (H, W) uint16, lidar (H, W, 2) float16."""

    label: NDArray[np.uint8]
    images: dict[str, NDArray]


def render(sequence: Sequence, time: float, lidar_offset: float, failure: str, rng: Random) -> Frame:
    """Render the frame at `time` seconds after the start of the sequence.

    The LiDAR sweeps the moving scene at its own time, time + lidar_offset; camera, thermal and depth share the
    reference time, for in their few milliseconds nothing moves by half a pixel.

    Args:
        failure: one of failures.FAILURES, or empty.
    """
    scene, drive, weather, pinhole = sequence.scene, sequence.drive, sequence.weather, sequence.camera
    hits = cast(scene, time, pinhole, drive.pose(time))
    found, style = patterns(hits), scene.road.style
    light = optics.light(hits, found, pinhole, drive.pose(time), weather, style)
    if failure == "motion_blur":
        light = motion_blur(light, rng)
    heat = thermal.measure(thermal.temperature(hits, found, weather, style), sequence.columns, rng)
    if failure == "thermal_low_resolution":
        heat = low_resolution(heat)
    images: dict[str, NDArray] = {
        "camera": optics.expose(light, weather, rng, GAIN.get(failure, 1.0)),
        "thermal": heat,
        "depth": depth.measure(hits, found, pinhole, weather, rng),
        "lidar": sweep(sequence, hits, time, lidar_offset, failure == "lidar_jitter", rng),
    }
    return Frame(labels(hits), {name: image for name, image in images.items() if name != ABSENT.get(failure)})


def labels(hits: Hits) -> NDArray[np.uint8]:
    """The label image, IGNORE where things are too far away."""
    far = (hits.distance > _LABELLED_TO) & (hits.label != Label.SKY)
    return np.where(far, IGNORE, hits.label).astype(np.uint8)


def sweep(sequence: Sequence, hits: Hits, time: float, offset: float, jitter: bool, rng: Random) -> NDArray[np.float16]:
    """The LiDAR's image in the reference view."""
    drive, pinhole = sequence.drive, sequence.camera
    points, intensity = lidar.scan(sequence.scene, drive, time + offset, sequence.weather, rng)
    if jitter:
        points = lidar.shaken(points, rng)
    seen = lidar.to_reference(points, drive, time + offset, time)
    # Shaken points are not where the surfaces are, so surfaces cannot tell which of them are hidden.
    return lidar.draw(seen, intensity, pinhole, None if jitter else depth.axial(hits, pinhole))
