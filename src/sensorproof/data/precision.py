"""Choose the number type in which a sensor's prepared images are stored, so that its scene keeps its grey levels.

float16 has a fixed number of steps over the claimed range. A 16-bit thermal camera that claims [0, 65535] and shows a
scene of 600 counts would keep about 20 of its 350 levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sensorproof.data.batch import Batch, BatchInfo
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import StoredType

_LEVELS = 256
"""Steps of float16 that a sensor's values must span; with fewer, its images are stored as float32."""
_FRAMES = 24
"""Frames that are looked at, evenly spread over all batches."""
_TAIL_PERCENT = 0.1
"""Share of the values at each end that is disregarded: a few outliers do not make a scene."""


@dataclass(frozen=True)
class StoredPrecision:
    """How a sensor's prepared images are stored, and a line where `range` is much wider than its values."""

    stored: StoredType = "float16"
    warning: str = ""


def choose_precision(batches: Sequence[Batch], info: BatchInfo) -> dict[str, StoredPrecision]:
    """Look at some frames and choose a type for every sensor.

    Args:
        batches: all batches.
        info: the sensors of all batches.

    Returns:
        {sensor: its type}. float16 for a sensor that no readable frame among them has.
    """
    places = [(batch, row) for batch in batches for row in range(len(batch.frames))]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(_FRAMES, len(places))).round().astype(int))
    frames = [load_frame(*places[k])[0] for k in chosen]
    result = {}
    for name, sensor in info.sensors.items():
        low, high = sensor.range
        ends = [
            np.percentile(pixels[np.isfinite(pixels)], (_TAIL_PERCENT, 100 - _TAIL_PERCENT))
            for frame in frames
            if (pixels := frame.images.get(name)) is not None
        ]
        result[name] = _of_values(name, low, high, np.array(ends)) if ends else StoredPrecision()
    return result


def _of_values(name: str, low: float, high: float, ends: np.ndarray) -> StoredPrecision:
    """Choose by the lowest and the highest value (n, 2) of each frame."""
    first, last = float(ends[:, 0].min()), float(ends[:, 1].max())
    scaled = np.abs((np.array([first, last]) - low) / (high - low)).max()
    step = float(np.spacing(np.float16(min(scaled, 60000.0)))) * (high - low)
    if not 0 < last - first < _LEVELS * step:
        return StoredPrecision()
    return StoredPrecision(
        "float32",
        f"{name}: its values span {last - first:g} of the {high - low:g} that `range` claims, so its images are stored "
        f"as float32; a range such as [{first:g}, {last:g}] in batch.yaml would halve their size",
    )
