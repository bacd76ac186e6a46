"""The files of one frame read: what cannot be read is noted, never raised, so that no frame is lost."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.registration.edges import Image
from sensorproof.data.batch import LABEL, Batch, Sensor
from sensorproof.data.images import read_ids, read_image
from sensorproof.errors import SensorproofError

_FARTHEST = 1e6
"""Values farther out than this many of their sensor's ranges are cut there, so that no measure overflows."""


@dataclass
class Frame:
    """What was read of row `row` of frames.csv."""

    row: int
    images: dict[str, Image] = field(default_factory=dict)
    """(C, H, W) by sensor, in the sensor's own units, NaN where invalid."""
    label: NDArray[np.integer] | None = None
    """(H, W) as the file has it: ids may be unknown."""
    faults: dict[str, str] = field(default_factory=dict)
    """Why a sensor's file or the label could not be read."""


Reader = Callable[[Batch, int], Frame]


def read_frame(batch: Batch, row: int) -> Frame:
    """Read all files that a row of frames.csv names."""
    frame = Frame(row)
    for name, sensor in batch.sensors.items():
        relative = str(batch.frames[name].iat[row])
        if relative:
            try:
                frame.images[name] = _within_reach(read_image(batch.path(relative), sensor), sensor)
            except SensorproofError as error:
                frame.faults[name] = error.fault
    relative = str(batch.frames.label.iat[row])
    if relative:
        try:
            frame.label = read_ids(batch.path(relative))
        except SensorproofError as error:
            frame.faults[LABEL] = error.fault
    return frame


def _within_reach(image: Image, sensor: Sensor) -> Image:
    """The image, with absurd values cut; NaN stays NaN."""
    low, high = sensor.range
    room = _FARTHEST * (high - low)
    return np.clip(image, low - room, high + room, out=image)


def in_order(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of batch.frames sequence by sequence, each in the file's order, and the number of each one's sequence."""
    number, _ = pd.factorize(batch.frames.sequence)
    order = np.argsort(number, kind="stable")
    return order, number[order].astype(np.int64)
