"""Frames of four sensors that look at the same scene, for benchmarks: no two are alike, and all are registered."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import write_batch
from sensorproof.parallel import count_workers, map_in_order

_SENSORS = {"camera": 3, "thermal": 1, "depth": 1, "lidar": 1}
_SHAPES, _CLASSES, _SITES, _SEQUENCE = 60, 5, 4, 50
_TASK = 16


def write_frames(root: Path, frames: int, size: tuple[int, int]) -> None:
    """Write a batch: PNG files of four sensors and a label for every frame.

    Args:
        root: the folder; its name is that of the batch.
        frames: their number.
        size: height and width in pixels.
    """
    for name in (*_SENSORS, "label"):
        (root / name).mkdir(parents=True)
    tasks = [(root, size, start, min(start + _TASK, frames)) for start in range(0, frames, _TASK)]
    for _ in map_in_order(_write, tasks, count_workers(0)):
        pass
    sensor = {"nodata": None, "max_time_offset_s": 0.05, "range": [0, 255], "calibration": None}
    kinds = {"camera": "camera", "thermal": "thermal", "depth": "depth", "lidar": "lidar"}
    info = {
        "name": root.name,
        "classes": [{"id": k, "name": f"class-{k}"} for k in range(_CLASSES)],
        "ignore_index": 255,
        "reference": "camera",
        "sensors": {name: {"kind": kinds[name], "channels": n, **sensor} for name, n in _SENSORS.items()},
    }
    rows = [
        {
            "frame_id": f"{root.name}-{k:06d}",
            "sequence": f"drive-{k // _SEQUENCE}",
            "site": f"site-{k * _SITES // frames}",
            "condition": "day",
            "label": f"label/{k:06d}.png",
            **{name: f"{name}/{k:06d}.png" for name in _SENSORS},
            **{f"{name}_time": 1.7e9 + k / 10 for name in _SENSORS},
        }
        for k in range(frames)
    ]
    write_batch(root, info, pd.DataFrame(rows))


def _write(task: tuple[Path, tuple[int, int], int, int]) -> None:
    """Write the files of some frames."""
    root, size, start, stop = task
    for k in range(start, stop):
        ids, images = _draw(size, k)
        for name, image in {**images, "label": ids}.items():
            cv2.imwrite(str(root / name / f"{k:06d}.png"), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _draw(size: tuple[int, int], seed: int) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.uint8]]]:
    """Return a label (H, W) and an image of each sensor: the same shapes, with other values and noise."""
    rng = np.random.default_rng(seed)
    height, width = size
    shapes = np.zeros(size, np.uint8)
    for k in range(1, _SHAPES):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(width // 20 + 1, width // 6)), int(rng.integers(height // 20 + 1, height // 6)))
        cv2.ellipse(shapes, center, axes, float(rng.uniform(0, 180)), 0, 360, k, -1)
    images = {}
    for name, channels in _SENSORS.items():
        values = rng.integers(10, 245, (_SHAPES, channels)).astype(np.uint8)
        noise = rng.integers(0, 6, (height, width, channels), np.uint8)
        images[name] = np.squeeze(values[shapes] + noise)
    return (shapes % _CLASSES).astype(np.uint8), images
