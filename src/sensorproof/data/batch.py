"""A batch, the unit of data: a folder with batch.yaml, frames.csv and the files that frames.csv names."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sensorproof.errors import BatchError, SensorproofError, UsageError
from sensorproof.files import confined, dump_yaml, parse_yaml
from sensorproof.settings.strict_model import StrictModel, validate_document

KEYS = ("frame_id", "sequence", "site", "condition", "label")
SPLITS = ("train", "val", "test")
LABEL = "label"
"""The label's column, and its name among the sensors where it is treated as one."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Text = Annotated[str, Field(min_length=1)]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Calibration(StrictModel):
    """K: 3 x 3 intrinsics in pixels, row by row. T_ref: 4 x 4 pose, sensor to reference, metres, row by row."""

    K: Annotated[tuple[float, ...], Field(min_length=9, max_length=9, strict=False)]
    T_ref: Annotated[tuple[float, ...], Field(min_length=16, max_length=16, strict=False)]
    captured: Annotated[date, Field(strict=False)]

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        return np.array(self.K).reshape(3, 3)

    @property
    def pose(self) -> NDArray[np.float64]:
        return np.array(self.T_ref).reshape(4, 4)


class Sensor(StrictModel):
    """What batch.yaml claims of one sensor. `range` is in the sensor's own units, `nodata` marks empty pixels."""

    kind: Literal["camera", "thermal", "depth", "lidar", "event", "radar", "polarization", "nir", "other"]
    channels: Annotated[int, Field(ge=1, le=64)]
    range: Annotated[tuple[float, float], Field(strict=False)]
    nodata: float | None
    max_time_offset_s: Annotated[float, Field(ge=0)]
    calibration: Calibration | None

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("range must be [lowest, highest]")
        return self


class Class(StrictModel):
    """`id` is the value of its pixels in the labels."""

    id: Annotated[int, Field(ge=0, le=255)]
    name: Text


class BatchInfo(StrictModel):
    """batch.yaml."""

    name: Name
    classes: Annotated[tuple[Class, ...], Field(min_length=2, strict=False)]
    ignore_index: Annotated[int, Field(ge=0, le=255)]
    reference: str
    sensors: Annotated[dict[Name, Sensor], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        check_claims(self.classes, self.ignore_index, self.reference, list(self.sensors))
        return self


def check_claims(classes: Sequence[Class], ignore_index: int, reference: str, sensors: Sequence[str]) -> None:
    """Raise ValueError where parts of batch.yaml, each right by itself, contradict one another."""
    ids = [c.id for c in classes]
    if len(set(ids)) != len(ids):
        raise ValueError("two classes have the same id")
    if len({c.name for c in classes}) != len(ids):
        raise ValueError("two classes have the same name")
    if ignore_index in ids:
        raise ValueError(f"ignore_index {ignore_index} is the id of a class")
    if reference not in sensors:
        raise ValueError(f"reference {reference!r} is not among the sensors {sorted(sensors)}")
    if len(sensors) < 2:
        raise ValueError("one sensor only: there is nothing to balance; give two or more")
    if clash := {s for s in sensors if s in (*KEYS, "split") or f"{s}_time" in sensors}:
        raise ValueError(f"sensor names {sorted(clash)} clash with columns of frames.csv")


@dataclass(frozen=True)
class Batch:
    """A batch whose batch.yaml and frames.csv have been read and agree; its pixels have not been read.

    `frames` has one row per frame, in the file's order: the columns KEYS and `split` (text, empty for none), and
    for each sensor `<sensor>` (relative path, empty for none) and `<sensor>_time` (seconds, NaN for none).
    """

    root: Path
    info: BatchInfo
    frames: pd.DataFrame

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def sensors(self) -> dict[str, Sensor]:
        return self.info.sensors

    def path(self, relative: str) -> Path:
        """Where a file that frames.csv names lies."""
        return confined(self.root, relative)


def read_batch(root: Path) -> Batch:
    """Read batch.yaml and frames.csv of a folder and check all that can be checked without opening the images.

    Raises:
        BatchError: a file is missing or broken, a key or column is missing, unknown or of the wrong type, there
            are no frames, an id repeats, a time is no number, a sensor has a file but no time, a split is
            unknown, or a path leaves the folder.
    """
    info = _read_info(root / "batch.yaml")
    return Batch(root, info, _read_frames(root / "frames.csv", info))


def _read_info(path: Path) -> BatchInfo:
    """Read and check batch.yaml; see read_batch for the errors."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BatchError(path, "is missing", "a batch is a folder with batch.yaml and frames.csv") from error
    except (OSError, ValueError) as error:
        raise BatchError(path, f"cannot be read ({error})", "mend its syntax") from error
    return validate_document(BatchInfo, document, path, BatchError)


def _read_frames(path: Path, info: BatchInfo) -> pd.DataFrame:
    """Read and check frames.csv against batch.yaml; see read_batch for the errors."""
    header, rows = _read_cells(path)
    expected = [*KEYS, *(c for s in info.sensors for c in (s, f"{s}_time"))]
    if missing := [c for c in expected if c not in header]:
        raise BatchError(path, f"columns {missing} are missing", f"the columns are {', '.join(expected)}")
    if unknown := [c for c in header if c not in (*expected, "split")]:
        raise BatchError(path, f"columns {unknown} are unknown", "remove them or name the sensor in batch.yaml")
    if len(set(header)) != len(header):
        raise BatchError(path, "a column repeats", "keep one of each")
    if not rows:
        raise BatchError(path, "has no frames", "an empty batch cannot be used; remove it")
    frames = pd.DataFrame(rows, columns=header, dtype=object).map(str.strip)
    if "split" not in frames:
        frames["split"] = ""
    _check_keys(path, frames)
    for sensor in info.sensors:
        frames[f"{sensor}_time"] = _parse_times(path, frames, sensor)
    for column in ("label", *info.sensors):
        for relative in frames[column]:
            if relative:
                _check_path(path, relative)
    return frames


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file, each row as long as the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError as error:
        raise BatchError(path, "is missing", "a batch is a folder with batch.yaml and frames.csv") from error
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise BatchError(path, f"cannot be read ({error})", "write it as UTF-8 CSV") from error
    if not lines:
        raise BatchError(path, "is empty", "write a header and one row per frame")
    header = [cell.strip() for cell in lines[0][1]]
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise BatchError(path, f"line {number} has {len(row)} cells, the header {len(header)}", "mend the line")
    return header, [row for _, row in lines[1:]]


def _check_keys(path: Path, frames: pd.DataFrame) -> None:
    """Ids are there and unique, sequences and sites are there, splits are known and whole."""
    for column in ("frame_id", "sequence", "site"):
        if (frames[column] == "").any():
            raise BatchError(path, f"column {column} has empty cells", "give every frame one")
        odd = frames.loc[frames[column].str.contains(_CONTROL), column]
        if len(odd):
            raise BatchError(path, f"column {column} has control characters: {odd.iloc[0]!r}", "take them out")
    repeated = frames.loc[frames.frame_id.duplicated(), "frame_id"]
    if len(repeated):
        raise BatchError(path, f"frame_id {repeated.iloc[0]!r} repeats ({len(repeated)} in all)", "make ids unique")
    unknown = sorted(set(frames.split) - {"", *SPLITS})
    if unknown:
        raise BatchError(path, f"split {unknown[0]!r} is unknown", f"use {', '.join(SPLITS)}")
    if (frames.split == "").any() and (frames.split != "").any():
        raise BatchError(path, "column split has empty cells", "fill the column or leave it out")


def _parse_times(path: Path, frames: pd.DataFrame, sensor: str) -> NDArray[np.float64]:
    """Times of one sensor in seconds, NaN where it has no frame."""
    text, file = frames[f"{sensor}_time"], frames[sensor]
    times = np.full(len(frames), np.nan)
    for row, (cell, relative) in enumerate(zip(text, file, strict=True)):
        if bool(cell) != bool(relative):
            have, lack = ("a time", "file") if cell else ("a file", "time")
            fault = f"frame {frames.frame_id[row]!r} has {have} but no {lack} for {sensor}"
            raise BatchError(path, fault, "give both or neither")
        if cell:
            times[row] = _parse_time(path, frames.frame_id[row], sensor, cell)
    return times


def _parse_time(path: Path, frame_id: str, sensor: str, cell: str) -> float:
    time = float(cell) if _DECIMAL.fullmatch(cell) else np.nan
    if not np.isfinite(time):
        raise BatchError(path, f"{sensor}_time of frame {frame_id!r} is {cell!r}", "write seconds as a decimal")
    return time


def _check_path(table: Path, relative: str) -> None:
    try:
        confined(table.parent, relative)
    except SensorproofError as error:
        raise BatchError(table, error.fault, "name files inside the batch") from error


def write_batch(root: Path, info: dict[str, Any], frames: pd.DataFrame) -> None:
    """Write batch.yaml and frames.csv into root, in the form that read_batch reads. Times keep microseconds."""
    (root / "batch.yaml").write_text(dump_yaml(info), encoding="utf-8")
    table = frames.copy()
    for column in (f"{sensor}_time" for sensor in info["sensors"]):
        table[column] = ["" if pd.isna(t) else f"{t:.6f}" for t in table[column]]
    table.to_csv(root / "frames.csv", index=False, lineterminator="\n")


def check_free(out: Path, force: bool) -> None:
    """Refuse (UsageError) to write a batch over what is no batch, and over a batch unless forced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "batch.yaml").is_file():
        raise UsageError(out, "exists and is no batch", "choose another folder")
    if not force:
        raise UsageError(out, "holds a batch already", "choose another folder, or replace it with --force")
