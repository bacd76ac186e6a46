"""frames.csv: the table of a batch's frames, read and checked against the sensors that batch.yaml names."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.errors import BatchError, SensorproofError
from sensorproof.files import confined

LABEL = "label"
"""The label's column, and its name among the sensors where it is treated as one."""
KEYS = ("frame_id", "sequence", "site", "condition", LABEL)
"""The columns that every batch has besides those of its sensors."""
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""The parts that frames are assigned to: for training, for the choice of settings, and for the reported scores."""
SEPARATOR = "|"
"""Between the files of a cell, where several make one image."""
SOURCE = "source:"
"""What a path starts with if it is relative to the folder `source` of batch.yaml, not to the batch."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def column_names(sensors: Sequence[str]) -> list[str]:
    """Return the columns of frames.csv, without the optional `split`."""
    return [*KEYS, *(column for sensor in sensors for column in (sensor, f"{sensor}_time"))]


def read_frame_table(
    path: Path,
    sensors: Sequence[str],
    tags: Sequence[str] = (),
    source: Path | None = None,
    files: Mapping[str, int] = MappingProxyType({}),
) -> pd.DataFrame:
    """Read frames.csv and check all that can be checked without opening the images.

    Args:
        path: the file, inside its batch.
        sensors: the names of the batch's sensors.
        tags: the further columns that batch.yaml names.
        source: the folder of the paths that start with `source:`; None if there are none.
        files: {sensor: files that make one image}, for those of more than one.

    Returns:
        One row per frame, in the file's order: the columns of `column_names`, the tags and `split`. Text is stripped
        and empty for none; times are float64 seconds, NaN for none.

    Raises:
        BatchError: see read_batch.
    """
    header, rows = _read_cells(path)
    check_columns(path, header, sensors, tags)
    if len(set(header)) != len(header):
        raise BatchError(path, "a column repeats", "keep one of each")
    if not rows:
        raise BatchError(path, "has no frames", "an empty batch cannot be used; remove it")
    frames = pd.DataFrame(rows, columns=header, dtype=object).map(str.strip)
    if "split" not in frames:
        frames["split"] = ""
    _check_keys(path, frames)
    for sensor in sensors:
        frames[f"{sensor}_time"] = _parse_times(path, frames, sensor)
    for column in (LABEL, *sensors):
        for cell in frames[column]:
            paths = split_cell(cell, files.get(column, 1))
            if cell and len(paths) != files.get(column, 1):
                fault = f"cell {cell!r:.80} of {column} names {len(paths)} files, not {files[column]}"
                raise BatchError(path, fault, f"separate as many by {SEPARATOR} as `read.files` says")
            for relative in paths:
                _check_path(path, relative, source)
    return frames


def split_cell(cell: str, files: int) -> list[str]:
    """Return the paths in a cell of frames.csv: none, one, or several where `files` make one image."""
    return cell.split(SEPARATOR) if files > 1 and cell else [cell] if cell else []


def check_columns(where: str | Path, header: Sequence[str], sensors: Sequence[str], tags: Sequence[str] = ()) -> None:
    """Check that a table has all columns of frames.csv and no other.

    Raises:
        BatchError: a column is missing or unknown.
    """
    expected = [*column_names(sensors), *tags]
    if missing := [column for column in expected if column not in header]:
        raise BatchError(where, f"columns {missing} are missing", f"the columns are {', '.join(expected)}")
    if unknown := [column for column in header if column not in (*expected, "split")]:
        raise BatchError(where, f"columns {unknown} are unknown", "remove them or name the sensor in batch.yaml")


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file; each row is as long as the header."""
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
    if len(header) == 1 and (separator := next((s for s in ";\t|" if s in header[0]), None)):
        names = {";": "semicolons", "\t": "tabs", "|": "bars"}
        raise BatchError(path, f"is separated by {names[separator]}", "separate the cells by commas")
    for number, row in lines[1:]:
        if len(row) != len(header):
            fault = f"line {number} has {len(row)} cells, the header {len(header)}"
            raise BatchError(path, fault, "give every line as many cells as the header")
    return header, [row for _, row in lines[1:]]


def _check_keys(path: Path, frames: pd.DataFrame) -> None:
    """Check that ids, sequences and sites are given, ids unique, and splits known and either all given or none."""
    for column in ("frame_id", "sequence", "site"):
        if (frames[column] == "").any():
            raise BatchError(path, f"column {column} has empty cells", "give every frame one")
        odd = frames.loc[frames[column].str.contains(_CONTROL), column]
        if len(odd):
            raise BatchError(path, f"column {column} has control characters: {odd.iloc[0]!r}", "remove them")
    repeated = frames.loc[frames.frame_id.duplicated(), "frame_id"]
    if len(repeated):
        raise BatchError(path, f"frame_id {repeated.iloc[0]!r} repeats ({len(repeated)} in all)", "make ids unique")
    unknown = sorted(set(frames.split) - {"", *SPLITS})
    if unknown:
        raise BatchError(path, f"split {unknown[0]!r} is unknown", f"use {', '.join(SPLITS)}")
    if (frames.split == "").any() and (frames.split != "").any():
        raise BatchError(path, "column split has empty cells", "fill the column or leave it out")


def _parse_times(path: Path, frames: pd.DataFrame, sensor: str) -> NDArray[np.float64]:
    """Return the times of one sensor in seconds, NaN where it has no frame."""
    cells, files = frames[f"{sensor}_time"], frames[sensor]
    times = np.full(len(frames), np.nan)
    for row, (cell, relative) in enumerate(zip(cells, files, strict=True)):
        if bool(cell) != bool(relative):
            given, lacking = ("a time", "file") if cell else ("a file", "time")
            fault = f"frame {frames.frame_id[row]!r} has {given} but no {lacking} for {sensor}"
            raise BatchError(path, fault, "give both or neither")
        if cell:
            times[row] = _parse_time(path, frames.frame_id[row], sensor, cell)
    return times


def _parse_time(path: Path, frame_id: str, sensor: str, cell: str) -> float:
    """Return one time in seconds; stricter than float(), which takes `nan`, `1_000` and digits of other scripts."""
    time = float(cell) if _DECIMAL.fullmatch(cell) else np.nan
    if not np.isfinite(time):
        raise BatchError(path, f"{sensor}_time of frame {frame_id!r} is {cell!r}", "write seconds as a decimal")
    return time


def _check_path(table: Path, relative: str, source: Path | None) -> None:
    """Refuse a path that leaves its folder or has backslashes, and name the table instead of the folder."""
    folder, inside = table.parent, "the batch"
    if source is not None and relative.startswith(SOURCE):
        folder, relative, inside = source, relative.removeprefix(SOURCE), str(source)
    if "\\" in relative and not (folder / relative).exists():
        raise BatchError(table, f"path {relative!r:.80} has backslashes", "separate folders by /")
    try:
        confined(folder, relative)
    except SensorproofError as error:
        raise BatchError(table, error.fault, f"name files inside {inside}") from error
