"""Predict a whole batch into a folder: one label PNG a frame, and a table of the sensors that were used."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.batch import Batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.files import atomic_folder
from sensorproof.serving.predictor import Predictor, check_fits

_AT_ONCE = 16
"""Frames in memory at a time."""
_TABLE = "predictions.csv"
COLUMNS = ["frame_id", "prediction", "sensors", "faults"]
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Frame ids that can name a file as they are."""


@dataclass(frozen=True)
class _Readable:
    """What can be read of one frame: the sensors to predict from, and a line for each file that cannot."""

    frame_id: str
    images: dict[str, NDArray[np.float32]]
    faults: list[str]


@dataclass(frozen=True)
class Outcome:
    """How many frames there were, were predicted, were predicted without some sensor, and had a broken file."""

    frames: int
    predicted: int
    partial: int
    broken: int


def predict_batch(
    predictor: Predictor, batch: Batch, out: Path, *, without: Sequence[str] = (), force: bool = False
) -> Outcome:
    """Predict every frame of a batch and write the folder `out`, whole or not at all.

    `out` gets predictions.csv (COLUMNS) and labels/<frame_id>.png at the size of the frame's reference sensor, with
    the class ids of batch.yaml. A file that cannot be read is a sensor that has failed: the frame is predicted from
    the others and the fault stands in the table. A frame that has no sensor left has no prediction.

    Args:
        predictor: the model.
        batch: the frames.
        out: the folder to write.
        without: sensors to leave out as if they had failed.
        force: replace predictions that are there already.

    Returns:
        How many frames were predicted, and from what.

    Raises:
        BatchError: the batch's classes or sensors are not those of the model.
        SensorproofError: no frame at all could be predicted.
        UsageError: `out` is taken or overlaps the batch, or `without` makes no sense.
    """
    wanted = set(predictor.sensors) - predictor.check_without(without)
    check_fits(predictor, batch)
    check_free(out, batch, force)
    rows: list[tuple[str, str, str, str]] = []
    with atomic_folder(out) as folder:
        (folder / "labels").mkdir()
        for start in range(0, len(batch.frames), _AT_ONCE):
            chunk = [read(batch, i, wanted) for i in range(start, min(start + _AT_ONCE, len(batch.frames)))]
            predictions = iter(predictor.predict([frame.images for frame in chunk if frame.images]))
            for index, frame in enumerate(chunk, start):
                file = ""
                if frame.images:
                    file = f"labels/{_file_name(frame.frame_id, index)}"
                    Image.fromarray(next(predictions).labels).save(folder / file)
                rows.append((frame.frame_id, file, "+".join(sorted(frame.images)), "; ".join(frame.faults)))
        table = pd.DataFrame(rows, columns=COLUMNS)
        table.to_csv(folder / _TABLE, index=False, lineterminator="\n")
        outcome = count(table, predictor.sensors)
        if not outcome.predicted:
            why = next(filter(None, table.faults), "no frame has a sensor that the model knows")
            raise SensorproofError(batch.root, f"no frame could be predicted ({why})", "fix the files")
    return outcome


def read(batch: Batch, index: int, wanted: Iterable[str]) -> _Readable:
    """Decode the wanted sensors of one frame. Its label does not matter here."""
    frame, findings = load_frame(batch, index)
    critical = [f for f in findings if f.severity == "critical" and f.sensor in {*wanted, ""}]
    images = {name: pixels for name, pixels in frame.images.items() if name in wanted}
    return _Readable(frame.frame_id, images, [f"{f.file}: {f.fault}" for f in critical])


def count(table: pd.DataFrame, sensors: Sequence[str]) -> Outcome:
    """Count the rows of predictions.csv."""
    predicted = table.prediction != ""
    partial = predicted & (table.sensors != "+".join(sensors))
    return Outcome(len(table), int(predicted.sum()), int(partial.sum()), int((table.faults != "").sum()))


def _file_name(frame_id: str, index: int) -> str:
    """Name a frame's file by its id where that can name a file; else by its row in frames.csv, counted from 0."""
    return f"{frame_id}.png" if PLAIN.fullmatch(frame_id) else f"_row-{index:06d}.png"


def check_free(out: Path, batch: Batch, force: bool) -> None:
    """Refuse a folder that overlaps the batch or holds anything but predictions, or predictions without `force`."""
    inner, outer = out.resolve(), batch.root.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UsageError(out, "overlaps the batch", "choose a folder outside it")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / _TABLE).is_file():
        raise UsageError(out, "exists and holds no predictions", "choose another folder")
    if not force:
        raise UsageError(out, "holds predictions already", "choose another folder, or replace them with --force")
