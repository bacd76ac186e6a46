"""Predict a whole batch into a folder: label, confidence and overlay pictures, and a table; in shards, if asked."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.models.windows import Windows
from sensorproof.monitoring.monitor import MonitorMode
from sensorproof.monitoring.stream import MEMORY, Stream
from sensorproof.serving.pictures import CONFIDENCE_SCALE, write_pictures
from sensorproof.serving.prediction_folder import PredictionFolder
from sensorproof.serving.prediction_record import make_record
from sensorproof.serving.prediction_rows import OpenPart, Row
from sensorproof.serving.predictor import Prediction, Predictor, check_fits
from sensorproof.serving.shards import Shard

_AT_ONCE = 16
"""Frames in memory at a time: one pass of the model."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Frame ids that can name a file as they are."""


@dataclass(frozen=True)
class _Readable:
    """What can be read of one frame: the sensors to predict from, and {sensor or empty: fault} of what cannot."""

    frame_id: str
    images: dict[str, NDArray[np.float32]]
    faults: list[tuple[str, str]]


@dataclass(frozen=True)
class Outcome:
    """How many frames a shard has, were predicted, without some sensor, had a broken file, or a failing sensor."""

    frames: int
    predicted: int
    partial: int
    broken: int
    failing: int = 0
    waiting: tuple[Shard, ...] = ()
    """The other shards that are not done yet; without them there is no predictions.csv."""


def predict_batch(
    predictor: Predictor,
    batch: Batch,
    out: Path,
    *,
    without: Sequence[str] = (),
    monitor: MonitorMode = "auto",
    force: bool = False,
    shard: Shard | None = None,
    own_size: bool | Windows = False,
    progress: Callable[[int, int], None] = lambda done, frames: None,
) -> Outcome:
    """Predict the frames of a batch, or of one shard of it, into the folder `out`, or go on after a kill.

    `out` gets labels/<frame_id>.png at the size of the frame's reference sensor, with the class ids of batch.yaml;
    confidence/<frame_id>.png of 16 bits, 65535 for a probability of 1; overlay/<frame_id>.jpg; predictions.json, which
    says what the predictions are of; and, when all shards are done, predictions.csv (see prediction_rows.Row). A file
    that cannot be read is a sensor that has failed: the frame is predicted from the others and the fault stands in the
    table. A frame that has no sensor left has no prediction.

    The model always sees the same frames together: passes begin at every 16th row, and a shard that begins within one
    computes the whole pass, and as many before it as the monitor remembers. So shards and interruptions do not change
    a bit of the result.

    Args:
        predictor: the model.
        batch: the frames.
        out: the folder to write.
        without: sensors to leave out as if they had failed.
        monitor: what to do about sensors that fail without saying so; see `Predictor.predict`. The frames of a
            sequence are a stream, in the order of frames.csv.
        force: replace predictions that are there already.
        shard: the frames to predict; by default all.
        own_size: give the model each frame at its own size, whole or in windows; see `Predictor.predict`.
        progress: called with the number of frames that are done and the number of all frames of the shard.

    Returns:
        How many frames were predicted, and from what.

    Raises:
        BatchError: the batch's classes or sensors are not those of the model.
        SensorproofError: no frame at all could be predicted; see PredictionFolder for the others.
        UsageError: `out` is taken or overlaps the batch, or `without` makes no sense.
    """
    shard = shard or Shard()
    left_out = predictor.check_without(without)
    check_fits(predictor, batch)
    _check_outside(out, batch)
    record = make_record(predictor, batch, left_out, CONFIDENCE_SCALE, monitor, own_size)
    folder = PredictionFolder(out, record, batch)
    part = folder.begin(shard, force)
    waiting: list[Shard] = []
    if part is not None:
        try:
            _predict_rest(predictor, batch, folder, part, shard, own_size, progress)
            waiting = folder.finish(part, shard)
        finally:
            part.close()
    return count(folder.rows(shard), predictor.sensors, waiting)


def _predict_rest(
    predictor: Predictor,
    batch: Batch,
    folder: PredictionFolder,
    part: OpenPart,
    shard: Shard,
    own_size: bool | Windows,
    progress: Callable[[int, int], None],
) -> None:
    """Predict the frames of a shard that are not done; a frame counts as done when its row is written."""
    rows = shard.rows(len(batch.frames))
    left_out = set(folder.record.without)
    wanted = set(predictor.sensors) - left_out
    first = rows.start + part.done
    if first >= rows.stop:
        progress(part.done, len(rows))
        return
    mode, streams = folder.record.monitor, _Streams(predictor, batch)
    begin = first if mode == "off" else streams.first_row_that_matters(first)
    progress(part.done, len(rows))
    for start in range(begin - begin % _AT_ONCE, rows.stop, _AT_ONCE):
        chunk = [read(batch, row, wanted) for row in range(start, min(start + _AT_ONCE, len(batch.frames)))]
        ordered = {frame.frame_id: streams.of_row(row) for row, frame in enumerate(chunk, start)}
        predictions = _predict(predictor, chunk, mode, ordered, own_size)
        for row, frame in enumerate(chunk, start):
            if first <= row < rows.stop:
                prediction = predictions.get(frame.frame_id)
                file = f"labels/{_file_stem(frame.frame_id, row)}.png" if prediction else ""
                if prediction:
                    write_pictures(folder.root, file, prediction, frame.images, predictor.description)
                part.append(_describe(frame, prediction, file, predictor.sensors, left_out))
        if start + len(chunk) > first:
            part.sync()
            progress(part.done, len(rows))


class _Streams:
    """A stream for each sequence of a batch."""

    def __init__(self, predictor: Predictor, batch: Batch) -> None:
        self._predictor = predictor
        self._sequences = batch.frames.groupby(["site", "sequence"], sort=False).ngroup().to_numpy()
        self._last: tuple[int, Stream | None] = (-1, None)

    def of_row(self, row: int) -> Stream | None:
        """Return the stream of a row; the rows are asked for in order."""
        if self._last[0] != self._sequences[row]:
            self._last = int(self._sequences[row]), self._predictor.open_stream()
        return self._last[1]

    def first_row_that_matters(self, row: int) -> int:
        """Return the first row whose frame the verdicts on this one depend on."""
        first = row
        while first > 0 and row - first < MEMORY - 1 and self._sequences[first - 1] == self._sequences[row]:
            first -= 1
        return first


def _predict(
    predictor: Predictor,
    chunk: Sequence[_Readable],
    mode: MonitorMode,
    streams: Mapping[str, Stream | None],
    own_size: bool | Windows,
) -> dict[str, Prediction]:
    """Return {frame_id: prediction} of one pass. What the model refuses becomes a fault of its frame."""
    frames = [frame for frame in chunk if frame.images]
    own = [streams[frame.frame_id] for frame in frames]
    try:
        predictions = predictor.predict([frame.images for frame in frames], monitor=mode, stream=own, own_size=own_size)
        return {frame.frame_id: prediction for frame, prediction in zip(frames, predictions, strict=True)}
    except SensorproofError as error:
        if len(frames) > 1:
            each = (_predict(predictor, [frame], mode, streams, own_size) for frame in frames)
            return {key: value for predicted in each for key, value in predicted.items()}
        frames[0].faults.append(("", f"frame: {error.fault}"))
        return {}


def _describe(
    frame: _Readable, prediction: Prediction | None, file: str, sensors: Sequence[str], without: set[str]
) -> Row:
    """Make a frame's row of the table."""
    used = prediction.used if prediction else ()
    reasons = dict(prediction.left_out) if prediction else {}
    broken = {sensor for sensor, _ in frame.faults}
    for sensor in sensors:
        if sensor in without:
            reasons[sensor] = "left out on request"
        elif sensor in broken:
            reasons[sensor] = "cannot be used"
        elif sensor not in used:
            reasons.setdefault(sensor, "has no valid pixel" if sensor in frame.images else "not given")
    return Row(
        frame_id=frame.frame_id,
        prediction=file,
        confidence=f"{prediction.confidence.mean(dtype=np.float64):.4f}" if prediction else "",
        sensors="+".join(sorted(used)),
        left_out="; ".join(f"{sensor}: {reasons[sensor]}" for sensor in sorted(reasons)),
        failing="; ".join(f"{name}: {why}" for name, why in prediction.failing.items()) if prediction else "",
        faults="; ".join(fault for _, fault in frame.faults),
    )


def read(batch: Batch, index: int, wanted: Iterable[str]) -> _Readable:
    """Decode the wanted sensors of one frame. Its label does not matter here."""
    frame, findings = load_frame(batch, index)
    critical = [f for f in findings if f.severity == "critical" and f.sensor in {*wanted, ""}]
    images = {name: pixels for name, pixels in frame.images.items() if name in wanted}
    return _Readable(frame.frame_id, images, [(f.sensor, f"{f.file}: {f.fault}") for f in critical])


def count(rows: Iterable[Row], sensors: Sequence[str], waiting: Sequence[Shard] = ()) -> Outcome:
    """Count rows of predictions.csv."""
    frames = predicted = partial = broken = failing = 0
    for row in rows:
        frames += 1
        predicted += bool(row.prediction)
        partial += bool(row.prediction) and row.sensors != "+".join(sensors)
        broken += bool(row.faults)
        failing += bool(row.failing)
    return Outcome(frames, predicted, partial, broken, failing, tuple(waiting))


def _file_stem(frame_id: str, index: int) -> str:
    """Name a frame's files by its id where that can name a file; else by its row in frames.csv, counted from 0."""
    return frame_id if _PLAIN.fullmatch(frame_id) else f"_row-{index:06d}"


def _check_outside(out: Path, batch: Batch) -> None:
    """Refuse a folder that overlaps the batch."""
    inner, outer = out.resolve(), batch.root.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise UsageError(out, "overlaps the batch", "choose a folder outside it")
