"""Reading the files of a frame for measuring: a file that cannot be read is recorded as a fault, never raised.

Stages that use the pixels call `data.frame_checks.load_frame`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.images import Image
from sensorproof.data.batch import Batch, Sensor
from sensorproof.data.frame_table import LABEL
from sensorproof.data.images import read_ids, read_image
from sensorproof.errors import SensorproofError

_CLIP_RANGES = 1e6
"""Values are clipped this many ranges beyond their sensor's range, so that no measure overflows."""


@dataclass
class RawFrame:
    """What could be read of row `row` of frames.csv."""

    row: int
    images: dict[str, Image] = field(default_factory=dict)
    """{sensor: (C, H, W)} in the sensor's own units, NaN where invalid."""
    label: NDArray[np.integer] | None = None
    """(H, W) as in the file: ids may be unknown."""
    faults: dict[str, str] = field(default_factory=dict)
    """{sensor or LABEL: why its file could not be read}."""


Reader = Callable[[Batch, int], RawFrame]
"""(batch, row of frames.csv) -> the frame."""


def read_frame(batch: Batch, row: int) -> RawFrame:
    """Read all files that a row of frames.csv names; faults of files are in the result."""
    frame = RawFrame(row)
    for name, sensor in batch.sensors.items():
        relative = str(batch.frames[name].iat[row])
        if relative:
            try:
                frame.images[name] = _clip(read_image(batch.image_paths(name, relative), sensor), sensor)
            except SensorproofError as error:
                frame.faults[name] = error.fault
    relative = str(batch.frames.label.iat[row])
    if relative:
        try:
            frame.label = read_ids(batch.path(relative), batch.info.label)
        except SensorproofError as error:
            frame.faults[LABEL] = error.fault
    return frame


def _clip(image: Image, sensor: Sensor) -> Image:
    """Clip absurd values in place; NaN stays NaN."""
    low, high = sensor.range
    margin = _CLIP_RANGES * (high - low)
    return np.clip(image, low - margin, high + margin, out=image)


def in_order(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of batch.frames sequence by sequence, each in the file's order, and their sequences' numbers.

    Returns:
        (N,) rows of batch.frames, and (N,) the number of each one's sequence. An index into them is a *position*.
    """
    number, _ = pd.factorize(batch.frames.sequence)
    order = np.argsort(number, kind="stable")
    return order, number[order].astype(np.int64)
