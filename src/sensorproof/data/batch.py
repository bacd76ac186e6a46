"""A batch, the unit of data: a folder with batch.yaml, frames.csv and the files that frames.csv names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sensorproof.data.batch_info import (
    NAME_PATTERN,
    BatchInfo,
    Calibration,
    Class,
    Name,
    Sensor,
    Text,
    check_claims,
)
from sensorproof.data.frame_table import SEPARATOR, SOURCE, check_columns, read_frame_table, split_cell
from sensorproof.errors import BatchError, UsageError
from sensorproof.files import confined, dump_yaml, parse_yaml
from sensorproof.settings.strict_model import validate_document

__all__ = [
    "NAME_PATTERN",
    "Batch",
    "BatchInfo",
    "Calibration",
    "Class",
    "Name",
    "Sensor",
    "Text",
    "check_claims",
    "check_free",
    "read_batch",
    "write_batch",
]


@dataclass(frozen=True)
class Batch:
    """A batch whose batch.yaml and frames.csv have been read and agree. Its pixels have not been read."""

    root: Path
    """The folder."""
    info: BatchInfo
    frames: pd.DataFrame
    """One row per frame, in the file's order.

    `frame_id`, `sequence`, `site`, `condition`, `label`, `split` and the tags are text, empty for none. For each
    sensor, `<sensor>` is a relative path, empty for none, and `<sensor>_time` is in seconds, NaN for none.
    """
    source: Path | None = None
    """The folder of the files that frames.csv names by `source:`, where there are any."""

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
            SensorproofError: the path leaves the batch; for one that starts with `source:`, the folder `source`.
        """
        if self.source is not None and relative.startswith(SOURCE):
            return confined(self.source, relative.removeprefix(SOURCE))
        return confined(self.root, relative)

    def locate(self, cell: str) -> str:
        """Return where the file of a cell of frames.csv is, for a message; the first of several."""
        if self.source is not None and cell.startswith(SOURCE):
            return str(self.source / cell.removeprefix(SOURCE).split(SEPARATOR)[0])
        return str(self.root / cell)

    def image_paths(self, sensor: str, cell: str) -> list[Path]:
        """Return the files that a sensor's cell of frames.csv names: one, or as many as its `read.files`."""
        reading = self.sensors[sensor].read
        return [self.path(relative) for relative in split_cell(cell, reading.files if reading else 1)]


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
    source = read_source(root) if info.external_files else None
    files = {name: sensor.read.files for name, sensor in info.sensors.items() if sensor.read is not None}
    frames = read_frame_table(root / "frames.csv", list(info.sensors), info.tags, source, files)
    return Batch(root, info, frames, source)


def source_pointer(root: Path) -> Path:
    """Return the file that says where the files outside of a batch are: `<batch>.source`, beside its folder."""
    absolute = root.absolute()
    return absolute.with_name(f"{absolute.name}.source")


def read_source(root: Path) -> Path:
    """Return the folder of the files outside of a batch.

    It is named beside the batch and not in it, for two reasons. A batch that someone sends cannot make this machine
    read files of other folders. And the batch stays the same where the data set lies elsewhere.

    Raises:
        BatchError: the file beside the batch is missing or names no folder.
    """
    pointer = source_pointer(root)
    try:
        text = pointer.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fault = f"it names files outside of it, but {pointer.name} beside it cannot be read ({error})"
        fix = "import the data here, or write the path of their folder into that file if you trust the batch"
        raise BatchError(root / "batch.yaml", fault, fix) from error
    source = Path(text)
    if not source.is_absolute() or len(source.parts) < 2 or not source.is_dir():
        fix = "write the absolute path of the data set's folder, connect its disk, or import it again"
        raise BatchError(pointer, f"names {text!r:.200}, which is no folder", fix)
    return source


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
        if info.label is not None and info.label.values:
            document["label"]["values"] = dict(info.label.values)  # JSON would make text of the numbers
    else:
        validate_document(BatchInfo, dict(info), "info", UsageError)
        document = json.loads(json.dumps(dict(info), default=str))
    sensors = list(document["sensors"])
    try:
        check_columns("frames", [str(column) for column in frames.columns], sensors, document.get("tags", ()))
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
