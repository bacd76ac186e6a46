"""batch.yaml of the embedded data, and the clocks of its sensors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorproof.data.metadata import IGNORE
from sensorproof.data.simulator import depth, lidar, thermal
from sensorproof.data.simulator.geometry import Pinhole, lidar_to_camera
from sensorproof.data.simulator.scene import Label

RATE = 2.0
"""Frames a second, a usual rate of annotated key frames."""
_REFERENCE = "camera"
_CAPTURED = "2025-02-24"
"""Day of the calibration, a week before the first drive."""


@dataclass(frozen=True)
class Clock:
    """A sensor's timestamps less the reference's, in seconds."""

    offset: float
    """Constant part."""
    jitter: float
    """Standard deviation of the random part."""
    tolerance: float
    """The `max_time_offset_s` of batch.yaml."""


CLOCKS = {
    "camera": Clock(0, 0, 0.001),
    "thermal": Clock(0.004, 0.0008, 0.02),
    "depth": Clock(0.002, 0.0003, 0.01),
    "lidar": Clock(-0.011, 0.0015, 0.03),
}


def draw_offset(sensor: str, rng: np.random.Generator) -> float:
    """Draw one frame's offset in seconds, well within the tolerance."""
    clock = CLOCKS[sensor]
    return clock.offset + clock.jitter * float(np.clip(rng.standard_normal(), -3, 3))


def batch_info(name: str, camera: Pinhole) -> dict[str, Any]:
    """Return the content of batch.yaml. All images are in the reference view; only the LiDAR has another pose."""
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
        "reference": _REFERENCE,
        "sensors": sensors,
    }
