"""What an importer of a public data set says of it: sensors, classes and the files of every frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo, Calibration, Class, Sensor
from sensorproof.data.file_reading import ImageReading, LabelReading
from sensorproof.data.frame_table import Split

IGNORE = 255


class Projection(Protocol):
    """Makes a sensor's image from a file that is none. Picklable, as frames are shared among processes."""

    def __call__(self, path: Path) -> NDArray[Any]:
        """Return the image (H, W, C) of 8 or 16 bits.

        Raises:
            BatchError: the file is not as it must be.
        """


@dataclass(frozen=True)
class FoundFrame:
    """One frame of the data set, as its layout names it; the files need not be there."""

    frame_id: str
    sequence: str
    site: str
    split: Split
    files: Mapping[str, tuple[str, ...]]
    """{sensor: the files of its image}, relative to the data set's folder."""
    label: str
    """Relative as well; empty where the data set keeps its labels."""
    time_s: float
    condition: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    raw: frozenset[str] = frozenset()
    """Sensors whose file has to be projected."""


@dataclass(frozen=True)
class Layout:
    """A data set on disk."""

    title: str
    page: str
    """Where the data set can be had."""
    info: BatchInfo
    """What batch.yaml will say; the name is the data set's."""
    frames: tuple[FoundFrame, ...]
    official: Mapping[Split, int]
    """Frames of each split by the authors' count."""
    projections: Mapping[str, Projection] = field(default_factory=dict)
    """{sensor: how its raw files become images}."""


def make_sensor(
    kind: str,
    channels: int,
    limits: tuple[float, float],
    *,
    nodata: float | None = None,
    max_time_offset_s: float = 0.01,
    calibration: Calibration | None = None,
    read: ImageReading | None = None,
) -> Sensor:
    """Return a sensor of batch.yaml; see `Sensor` for the arguments."""
    return Sensor.model_validate(
        {
            "kind": kind,
            "channels": channels,
            "range": limits,
            "nodata": nodata,
            "max_time_offset_s": max_time_offset_s,
            "calibration": calibration,
            "read": read,
        }
    )


def make_info(
    name: str,
    classes: Sequence[str],
    sensors: Mapping[str, Sensor],
    *,
    label: LabelReading | None = None,
    tags: tuple[str, ...] = (),
) -> BatchInfo:
    """Return batch.yaml for classes with the ids 0, 1, 2, …, official splits, and the first sensor as the reference."""
    return BatchInfo(
        name=name,
        classes=tuple(Class(id=number, name=title) for number, title in enumerate(classes)),
        ignore_index=IGNORE,
        reference=next(iter(sensors)),
        sensors=dict(sensors),
        label=label,
        tags=tags,
        official_splits=True,
    )


def shifted_ids(classes: int) -> dict[int, int]:
    """Return the mapping of labels that count classes from 1 and have 0 for pixels that do not count."""
    return {0: IGNORE, **{number: number - 1 for number in range(1, classes + 1)}}


def identity_pose() -> tuple[float, ...]:
    """Return the 4 x 4 identity, row by row."""
    return tuple(map(float, np.eye(4).ravel()))
