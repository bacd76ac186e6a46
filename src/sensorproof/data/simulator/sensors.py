"""batch.yaml of the embedded data, and the clocks of its sensors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorproof.data.simulator import depth, lidar, thermal
from sensorproof.data.simulator.geometry import Pinhole, lidar_to_camera
from sensorproof.data.simulator.scene import IGNORE, Label

REFERENCE = "camera"
_CAPTURED = "2025-02-24"
"""Day of the calibration, a week before the first drive."""
RATE = 2.0
"""Frames a second, as annotated key frames come."""


@dataclass(frozen=True)
class Clock:
    """A sensor's stamps against the reference's, seconds: constant offset, normal jitter, and the tolerance."""

    offset: float
    jitter: float
    tolerance: float


CLOCKS = {
    "camera": Clock(0, 0, 0.001),
    "thermal": Clock(0.004, 0.0008, 0.02),
    "depth": Clock(0.002, 0.0003, 0.01),
    "lidar": Clock(-0.011, 0.0015, 0.03),
}


def draw_offset(sensor: str, rng: np.random.Generator) -> float:
    """One frame's offset in seconds, well within the tolerance."""
    clock = CLOCKS[sensor]
    return clock.offset + clock.jitter * float(np.clip(rng.standard_normal(), -3, 3))


def batch_info(name: str, camera: Pinhole) -> dict[str, Any]:
    """The content of batch.yaml. Images are all in the reference view; only the LiDAR sits elsewhere."""
    intrinsics = [float(value) for value in camera.intrinsics.ravel()]
    poses = {sensor: np.eye(4) for sensor in CLOCKS} | {"lidar": lidar_to_camera()}
    details = {
        "camera": ("camera", 3, (0.0, 255.0), None),
        "thermal": ("thermal", 1, thermal.RANGE, None),
        "depth": ("depth", 1, depth.RANGE, depth.NODATA),
        "lidar": ("lidar", 2, lidar.RANGE, lidar.NODATA),
    }
    sensors = {
        sensor: {
            "kind": kind,
            "channels": channels,
            "range": list(limits),
            "nodata": nodata,
            "max_time_offset_s": CLOCKS[sensor].tolerance,
            "calibration": {
                "K": intrinsics.copy(),
                "T_ref": [float(value) for value in poses[sensor].ravel()],
                "captured": _CAPTURED,
            },
        }
        for sensor, (kind, channels, limits, nodata) in details.items()
    }
    return {
        "name": name,
        "classes": [{"id": int(label), "name": label.name.lower()} for label in Label],
        "ignore_index": IGNORE,
        "reference": REFERENCE,
        "sensors": sensors,
    }
