"""The champion's answers to the frames of a batch: how confident it is, and which sensors it finds failing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sensorproof.alignment.sampling import evenly_spaced
from sensorproof.data.batch import Batch
from sensorproof.errors import SensorproofError
from sensorproof.monitoring.stream import Stream
from sensorproof.serving.batches import read
from sensorproof.serving.predictor import Images, Prediction, Predictor, check_fits

_AT_ONCE = 16
"""Frames in memory at a time: one pass of the model."""


@dataclass(frozen=True)
class Answer:
    """One frame that the champion could answer."""

    site: str
    confidence: float
    """Mean over the pixels, 0 to 1."""
    failing: tuple[str, ...]
    """Sensors that the monitor found failing."""


def ask(predictor: Predictor, batch: Batch, most: int) -> list[Answer]:
    """Let a model predict frames of a batch, as in use: with its monitor, and each sequence as one stream.

    Args:
        predictor: the model.
        batch: the frames.
        most: about so many frames; of a larger batch whole sequences are chosen, evenly spread, since the monitor
            remembers the frames before.

    Returns:
        An answer for every frame that has a readable sensor of the model.

    Raises:
        BatchError: the batch's classes or sensors are not those of the model.
    """
    check_fits(predictor, batch)
    return [answer for rows in _sequences(batch.frames, most) for answer in _ask_sequence(predictor, batch, rows)]


def _sequences(frames: pd.DataFrame, most: int) -> list[list[int]]:
    """Return the rows of each chosen sequence."""
    number = frames.groupby(["site", "sequence"], sort=False).ngroup().to_numpy()
    rows = [np.flatnonzero(number == k).tolist() for k in range(number.max() + 1)]
    wanted = max(1, int(most / max(1.0, len(frames) / len(rows))))
    return [rows[k] for k in evenly_spaced(len(rows), wanted)]


def _ask_sequence(predictor: Predictor, batch: Batch, rows: list[int]) -> Iterator[Answer]:
    """Yield the answers to the frames of one sequence, in order."""
    stream, wanted = predictor.open_stream(), set(predictor.sensors)
    for start in range(0, len(rows), _AT_ONCE):
        frames = [(row, read(batch, row, wanted).images) for row in rows[start : start + _AT_ONCE]]
        usable = {row: images for row, images in frames if images}
        for row, prediction in _predict(predictor, usable, stream).items():
            confidence = float(prediction.confidence.mean(dtype=np.float64))
            yield Answer(str(batch.frames.site.iat[row]), confidence, tuple(prediction.failing))


def _predict(predictor: Predictor, frames: Mapping[int, Images], stream: Stream | None) -> dict[int, Prediction]:
    """Return {row: prediction} at the model's own size; a frame that the model refuses has none."""
    try:
        predictions = predictor.predict(list(frames.values()), predictor.description.size, stream=stream)
        return dict(zip(frames, predictions, strict=True))
    except SensorproofError:
        if len(frames) == 1:
            return {}
        return {row: p for one in frames.items() for row, p in _predict(predictor, dict([one]), stream).items()}
