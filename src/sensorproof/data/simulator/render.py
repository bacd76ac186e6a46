"""Render one frame: all sensors and the label from one scene at one time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.metadata import IGNORE
from sensorproof.data.simulator import camera, depth, lidar, thermal
from sensorproof.data.simulator.array_types import Floats, Random
from sensorproof.data.simulator.failures import ABSENT, GAIN, low_resolution, motion_blur
from sensorproof.data.simulator.geometry import Pinhole
from sensorproof.data.simulator.layout import Drive
from sensorproof.data.simulator.ray_casting import Hits, cast_rays
from sensorproof.data.simulator.scene import Label, Scene
from sensorproof.data.simulator.surface_details import find_details
from sensorproof.data.simulator.weather import Weather

_LABELLED_TO = 80.0
"""Metres beyond which nobody could recognise what a pixel shows; the sky is always labelled."""


@dataclass(frozen=True)
class Sequence:
    """What stays the same along a sequence."""

    scene: Scene
    drive: Drive
    weather: Weather
    pinhole: Pinhole
    columns: Floats
    """(W,) pattern of the thermal camera's columns, standard normal."""


@dataclass(frozen=True)
class Frame:
    """The label and the images of one time."""

    label: NDArray[np.uint8]
    """(H, W)."""
    images: dict[str, NDArray]
    """{sensor: image}: camera (H, W, 3) uint8, thermal and depth (H, W) uint16, lidar (H, W, 2) float16."""


def render(sequence: Sequence, time: float, lidar_offset: float, failure: str, rng: Random) -> Frame:
    """Render one frame.

    Camera, thermal and depth share the reference time, because in their few milliseconds nothing moves by half a pixel.
    The LiDAR sweeps the moving scene at its own time.

    Args:
        sequence: what the frames of the sequence share.
        time: the reference time, in seconds after the start of the sequence.
        lidar_offset: the LiDAR's time less the reference time, in seconds.
        failure: one of failures.FAILURES, or empty.
        rng: draws the noise of all sensors.
    """
    scene, drive, weather, pinhole = sequence.scene, sequence.drive, sequence.weather, sequence.pinhole
    hits = cast_rays(scene, time, pinhole, drive.pose(time))
    details, style = find_details(hits), scene.road.style
    light = camera.incoming_light(hits, details, pinhole, drive.pose(time), weather, style)
    if failure == "motion_blur":
        light = motion_blur(light, rng)
    heat = thermal.measure(thermal.temperature(hits, details, weather, style), sequence.columns, rng)
    if failure == "thermal_low_resolution":
        heat = low_resolution(heat)
    images: dict[str, NDArray] = {
        "camera": camera.expose(light, weather, rng, GAIN.get(failure, 1.0)),
        "thermal": heat,
        "depth": depth.measure(hits, details, pinhole, weather, rng),
        "lidar": _lidar_image(sequence, hits, time, lidar_offset, failure == "lidar_jitter", rng),
    }
    return Frame(_label_image(hits), {name: image for name, image in images.items() if name != ABSENT.get(failure)})


def _label_image(hits: Hits) -> NDArray[np.uint8]:
    """Return the label (H, W), IGNORE where objects are too far away."""
    far = (hits.distance > _LABELLED_TO) & (hits.label != Label.SKY)
    return np.where(far, IGNORE, hits.label).astype(np.uint8)


def _lidar_image(
    sequence: Sequence, hits: Hits, time: float, offset: float, jitter: bool, rng: Random
) -> NDArray[np.float16]:
    """Return the LiDAR's image (H, W, 2) in the reference view; `hits` are those of the reference camera."""
    drive, pinhole = sequence.drive, sequence.pinhole
    points, intensity = lidar.scan(sequence.scene, drive, time + offset, sequence.weather, rng)
    if jitter:
        points = lidar.add_jitter(points, rng)
    aligned = lidar.compensate_motion(points, drive, time + offset, time)
    # Points with jitter are not where the surfaces are, so surfaces cannot tell which of them are hidden.
    return lidar.draw_returns(aligned, intensity, pinhole, None if jitter else depth.axial_depth(hits, pinhole))
