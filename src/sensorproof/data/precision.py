"""Choose the number type in which a sensor's prepared images are stored, so that its scene keeps its grey levels.

float16 has a fixed number of steps over the claimed range. A 16-bit thermal camera that claims [0, 65535] and shows a
scene of 600 counts would keep about 20 of its 350 levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorproof.cache import hash_code, load_tree, save_tree
from sensorproof.data.batch import Batch, BatchInfo
from sensorproof.data.fingerprint import fingerprint
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import StoredType
from sensorproof.hashing import hash_json

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


def choose_precision(
    batches: Sequence[Batch], info: BatchInfo, cache: Path | None = None
) -> dict[str, StoredPrecision]:
    """Look at some frames and choose a type for every sensor.

    Args:
        batches: all batches.
        info: the sensors of all batches.
        cache: folder in which it is kept what the frames showed, so that none is read again; None keeps nothing.

    Returns:
        {sensor: its type}. float16 for a sensor that no readable frame among them has.
    """
    places = [(batch, row) for batch in batches for row in range(len(batch.frames))]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(_FRAMES, len(places))).round().astype(int))
    keys = {batch.name: "" if cache is None else fingerprint(batch) for batch in batches}
    frames = [_ends_of(batch, row, keys[batch.name], cache) for batch, row in (places[k] for k in chosen)]
    result = {}
    for name, sensor in info.sensors.items():
        low, high = sensor.range
        ends = [frame[name] for frame in frames if name in frame]
        result[name] = _of_values(name, low, high, np.array(ends)) if ends else StoredPrecision()
    return result


def _ends_of(batch: Batch, row: int, key: str, cache: Path | None) -> dict[str, NDArray[np.float64]]:
    """Return {sensor: lowest and highest value (2,) of one frame}, without outliers."""
    path = None if cache is None else cache / f"{hash_json([key, row, hash_code(__package__)])[:40]}.safetensors"
    if path is not None and (tree := load_tree(path)) is not None:
        return dict(tree)
    ends = {
        name: np.asarray(np.percentile(pixels[np.isfinite(pixels)], (_TAIL_PERCENT, 100 - _TAIL_PERCENT)), np.float64)
        for name, pixels in load_frame(batch, row)[0].images.items()
    }
    if path is not None:
        save_tree(path, ends)
    return ends


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
