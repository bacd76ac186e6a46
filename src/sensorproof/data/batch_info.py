"""The content of batch.yaml: classes, sensors, calibrations, and where the files are."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sensorproof.data.file_reading import ImageReading, LabelReading, OmitUnset
from sensorproof.data.frame_table import KEYS, column_names
from sensorproof.settings.strict_model import StrictModel

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Names of batches: they also name folders."""
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
SensorName = Annotated[str, Field(pattern=r"^[^\W_][\w-]{0,63}$")]
"""Letters of any script, digits, - and _; sensors also name files, columns and metrics."""
Text = Annotated[str, Field(min_length=1)]


_OTHER_COLUMNS = {"split", "batch", "labelled", "fault"}
"""Columns of frames.csv, here or in the prepared data, that are neither a key nor a sensor's."""


class Calibration(StrictModel):
    """Where a sensor is and how it projects, and when that was measured."""

    K: Annotated[tuple[float, ...], Field(min_length=9, max_length=9, strict=False)]
    """The 3 x 3 intrinsics in pixels, row by row."""
    T_ref: Annotated[tuple[float, ...], Field(min_length=16, max_length=16, strict=False)]
    """The 4 x 4 pose that maps points of the sensor to the reference sensor, in metres, row by row."""
    captured: Annotated[date, Field(strict=False)]

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """K as an array (3, 3)."""
        return np.array(self.K).reshape(3, 3)

    @property
    def pose(self) -> NDArray[np.float64]:
        """T_ref as an array (4, 4)."""
        return np.array(self.T_ref).reshape(4, 4)


class Sensor(OmitUnset):
    """What batch.yaml claims of one sensor."""

    kind: Literal["camera", "thermal", "depth", "lidar", "event", "radar", "polarization", "nir", "other"]
    channels: Annotated[int, Field(ge=1, le=64)]
    range: Annotated[tuple[float, float], Field(strict=False)]
    """The lowest and the highest value, in the sensor's own units."""
    nodata: float | None
    """The value of empty pixels, in the sensor's own units; a pixel is empty if all its channels have it."""
    max_time_offset_s: Annotated[float, Field(ge=0)]
    """The largest time between a frame of this sensor and one of the reference sensor, in seconds."""
    calibration: Calibration | None
    read: ImageReading | None = None
    """How files become the sensor's image, where the files were not written for the batch."""

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("range must be [lowest, highest]")
        return self


class Class(StrictModel):
    """A class of the labels."""

    id: Annotated[int, Field(ge=0, le=255)]
    """The value of its pixels."""
    name: Text


class BatchInfo(OmitUnset):
    """The content of batch.yaml."""

    name: Name
    """Also the name of the folder."""
    classes: Annotated[tuple[Class, ...], Field(min_length=2, strict=False)]
    ignore_index: Annotated[int, Field(ge=0, le=255)]
    """The value of label pixels that do not count."""
    reference: str
    """The sensor to which the others are aligned, and whose size the labels have."""
    sensors: Annotated[dict[SensorName, Sensor], Field(min_length=1)]
    label: LabelReading | None = None
    """How files become labels, where the files were not written for the batch."""
    tags: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], ...], Field(strict=False)] = ()
    """Further columns of frames.csv, free text each."""
    official_splits: bool = False
    """Whether the column `split` is that of a public data set. A test or validation part that has no labels, or is not
    there, is then taken from the next one: see `data.splits`."""
    external_files: bool = False
    """Whether frames.csv names files outside of the batch, by `source:`; see `sensorproof.data.source_files`."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        check_claims(self.classes, self.ignore_index, self.reference, list(self.sensors))
        taken = {*column_names(list(self.sensors)), *_OTHER_COLUMNS}
        if len(set(self.tags)) != len(self.tags) or any(t in taken or t.startswith("present_") for t in self.tags):
            raise ValueError(f"tags {list(self.tags)} repeat or are columns already")
        return self


def check_claims(classes: Sequence[Class], ignore_index: int, reference: str, sensors: Sequence[str]) -> None:
    """Check that parts of batch.yaml, each valid by itself, agree with one another.

    Raises:
        ValueError: they contradict one another.
    """
    ids = [described.id for described in classes]
    if len(set(ids)) != len(ids):
        raise ValueError("two classes have the same id")
    if len({described.name for described in classes}) != len(ids):
        raise ValueError("two classes have the same name")
    if ignore_index in ids:
        raise ValueError(f"ignore_index {ignore_index} is the id of a class")
    if reference not in sensors:
        raise ValueError(f"reference {reference!r} is not among the sensors {sorted(sensors)}")
    if len(sensors) < 2:
        raise ValueError("one sensor only: there is nothing to balance; give two or more")
    if clash := {name for name in sensors if name in (*KEYS, "split") or f"{name}_time" in sensors}:
        raise ValueError(f"sensor names {sorted(clash)} clash with columns of frames.csv")
