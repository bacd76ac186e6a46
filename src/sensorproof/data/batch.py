"""A batch, the unit of data: a folder with batch.yaml, frames.csv and the files that frames.csv names."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sensorproof.data.frame_table import KEYS, check_columns, read_frame_table
from sensorproof.errors import BatchError, UsageError
from sensorproof.files import confined, dump_yaml, parse_yaml
from sensorproof.settings.strict_model import StrictModel, validate_document

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
"""Names of batches: they also name folders."""
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
SensorName = Annotated[str, Field(pattern=r"^[^\W_][\w-]{0,63}$")]
"""Letters of any script, digits, - and _; sensors also name files, columns and metrics."""
Text = Annotated[str, Field(min_length=1)]


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


class Sensor(StrictModel):
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


class BatchInfo(StrictModel):
    """The content of batch.yaml."""

    name: Name
    """Also the name of the folder."""
    classes: Annotated[tuple[Class, ...], Field(min_length=2, strict=False)]
    ignore_index: Annotated[int, Field(ge=0, le=255)]
    """The value of label pixels that do not count."""
    reference: str
    """The sensor to which the others are aligned, and whose size the labels have."""
    sensors: Annotated[dict[SensorName, Sensor], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        check_claims(self.classes, self.ignore_index, self.reference, list(self.sensors))
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


@dataclass(frozen=True)
class Batch:
    """A batch whose batch.yaml and frames.csv have been read and agree. Its pixels have not been read."""

    root: Path
    """The folder."""
    info: BatchInfo
    frames: pd.DataFrame
    """One row per frame, in the file's order.

    `frame_id`, `sequence`, `site`, `condition`, `label` and `split` are text, empty for none. For each sensor,
    `<sensor>` is a relative path, empty for none, and `<sensor>_time` is in seconds, NaN for none.
    """

    @property
    def name(self) -> str:
        """The batch's name."""
        return self.info.name

    @property
    def sensors(self) -> dict[str, Sensor]:
        """The sensors by name."""
        return self.info.sensors

    def path(self, relative: str) -> Path:
        """Return the path of a file that frames.csv names.

        Raises:
            SensorproofError: the path leaves the batch.
        """
        return confined(self.root, relative)


def read_batch(root: str | Path) -> Batch:
    """Read batch.yaml and frames.csv of a folder, and check all that can be checked without opening the images.

    Args:
        root: the batch's folder.

    Raises:
        BatchError: a file is missing or broken; a key or column is missing, unknown or of the wrong type; there are
            no frames; an id repeats; a time is not a number; a sensor has a file but no time; a split is unknown; or
            a path leaves the folder.

    Examples:
        >>> from sensorproof import read_batch
        >>> batch = read_batch("data/raw/yard")
        >>> batch.info.reference, sorted(batch.sensors)
        ('camera', ['camera', 'depth'])
        >>> batch.path(batch.frames.camera[0]).name
        'f0.png'
    """
    root = Path(root)
    info = _read_info(root / "batch.yaml")
    return Batch(root, info, read_frame_table(root / "frames.csv", list(info.sensors)))


def _read_info(path: Path) -> BatchInfo:
    """Read and check batch.yaml; see read_batch for the errors."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BatchError(path, "is missing", "a batch is a folder with batch.yaml and frames.csv") from error
    except (OSError, ValueError) as error:
        raise BatchError(path, f"cannot be read ({error})", "correct its syntax") from error
    return validate_document(BatchInfo, document, path, BatchError)


def write_batch(root: str | Path, info: BatchInfo | Mapping[str, Any], frames: pd.DataFrame) -> None:
    """Write batch.yaml and frames.csv in the form that read_batch reads. The images are for the caller to write.

    Args:
        root: the batch's folder. Files that are there already are replaced.
        info: the content of batch.yaml, as a BatchInfo or as plain values with the same keys.
        frames: the content of frames.csv, with the columns that `Batch.frames` has; `split` may be left out. Times are
            in seconds, NaN or None for a sensor that has no frame, and are written in microseconds.

    Raises:
        UsageError: `info` or the columns of `frames` are not those of a batch. The message names what is wrong.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sensorproof import read_batch, write_batch
        >>> sensor = {"channels": 1, "nodata": None, "max_time_offset_s": 0.1, "calibration": None}
        >>> info = {
        ...     "name": "yard",
        ...     "classes": [{"id": 0, "name": "road"}, {"id": 1, "name": "sky"}],
        ...     "ignore_index": 255,
        ...     "reference": "camera",
        ...     "sensors": {
        ...         "camera": {"kind": "camera", "range": [0, 255], **sensor},
        ...         "thermal": {"kind": "thermal", "range": [-20, 60], **sensor},
        ...     },
        ... }
        >>> frame = {"frame_id": "f0", "sequence": "drive-0", "site": "yard", "condition": "day", "label": ""}
        >>> frame |= {"camera": "f0-camera.npy", "camera_time": 0.0, "thermal": "f0-thermal.npy", "thermal_time": 0.02}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "f0-camera.npy"), np.full((4, 6), 128, np.uint8))
        ...     np.save(Path(folder, "f0-thermal.npy"), np.full((4, 6), 21.5, np.float32))
        ...     write_batch(folder, info, pd.DataFrame([frame]))
        ...     read_batch(folder).frames.thermal_time.tolist()
        [0.02]
    """
    if isinstance(info, BatchInfo):
        document = info.model_dump(mode="json")
    else:
        validate_document(BatchInfo, dict(info), "info", UsageError)
        document = json.loads(json.dumps(dict(info), default=str))
    sensors = list(document["sensors"])
    try:
        check_columns("frames", [str(column) for column in frames.columns], sensors)
    except BatchError as error:
        raise UsageError(error.where, error.fault, error.fix) from error
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / "batch.yaml").write_text(dump_yaml(document), encoding="utf-8")
    table = frames.copy()
    for column in (f"{sensor}_time" for sensor in sensors):
        table[column] = ["" if pd.isna(time) else f"{time:.6f}" for time in table[column]]
    table.to_csv(root / "frames.csv", index=False, lineterminator="\n")


def check_free(out: Path, force: bool) -> None:
    """Check that a batch may be written to a folder.

    Args:
        out: the folder.
        force: whether a batch that is there already may be replaced.

    Raises:
        UsageError: it holds anything that is not a batch, or a batch and `force` is False.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "batch.yaml").is_file():
        raise UsageError(out, "exists and is not a batch", "choose another folder")
    if not force:
        raise UsageError(out, "holds a batch already", "choose another folder, or replace it with --force")
