"""Measure a batch in shards of consecutive frames, in any process; the shards do not depend on who measures them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.frame_measurer import FrameMeasurer
from sensorproof.alignment.frames import RawFrame, Reader, in_order, read_frame
from sensorproof.alignment.shard import Shard
from sensorproof.cache import load_tree, save_tree
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_table import LABEL
from sensorproof.parallel import single_threaded
from sensorproof.settings import ValidationSettings

SHARD_FRAMES = 32
"""Frames of a shard. Sums over frames are made shard by shard, so another number changes their last digits."""
_LOOK_BACK = 8
"""Frames before a shard among which the previous image of each sensor is sought."""


@dataclass(frozen=True)
class ShardTask:
    """A shard for another process: it reads the batch, measures the frames, and stores the result."""

    root: Path
    settings: ValidationSettings
    start: int
    stop: int
    target: Path
    """The file of the result; its name is the hash of all that the result depends on."""


def spans(frames: int) -> Iterator[tuple[int, int]]:
    """Yield first position and end of every shard."""
    for start in range(0, frames, SHARD_FRAMES):
        yield start, min(start + SHARD_FRAMES, frames)


def run_task(task: ShardTask) -> Path:
    """Measure a shard, unless that has been done; return the file of the result."""
    if load_tree(task.target) is None:
        shard = measure_shard(read_batch(task.root), task.settings, task.start, task.stop)
        save_tree(task.target, shard.to_tree())
    return task.target


@np.errstate(over="ignore", invalid="ignore")
def measure_shard(
    batch: Batch, settings: ValidationSettings, start: int, stop: int, read: Reader = read_frame
) -> Shard:
    """Measure the frames at the positions from `start` up to, and without, `stop`.

    Each frame is read once, and only its own pixels are in memory. Frames that change or match are sought among
    neighbours: the last frame of the shard before is read too.

    Args:
        batch: the batch.
        settings: the section validation.
        start: the first position; see `in_order`.
        stop: the position after the last.
        read: how a frame is read.
    """
    order, sequence = in_order(batch)
    measurer = FrameMeasurer(batch, settings)
    with single_threaded():
        for position, frame in _frames_before(batch, order, sequence, start, read):
            measurer.prime(frame, position, int(sequence[position]))
        cells_in_order = batch.frames.iloc[order[start:stop]].itertuples(index=False, name=None)
        for position, values in enumerate(cells_in_order, start):
            cells = dict(zip(batch.frames.columns, values, strict=True))
            measurer.add(read(batch, int(order[position])), cells, position, int(sequence[position]))
        return measurer.shard(is_continued=stop < len(order) and bool(sequence[stop] == sequence[stop - 1]))


def _frames_before(
    batch: Batch, order: NDArray[np.int64], sequence: NDArray[np.int64], start: int, read: Reader
) -> list[tuple[int, RawFrame]]:
    """Return frames before a shard, in its sequence: the last one, and the last that shows each sensor."""
    frames: list[tuple[int, RawFrame]] = []
    missing = {*batch.sensors, LABEL}
    for position in range(start - 1, max(start - 1 - _LOOK_BACK, -1), -1):
        if not missing or sequence[position] != sequence[start]:
            break
        row = batch.frames.iloc[order[position]]
        if not frames or any(row[name] for name in missing):
            frame = read(batch, int(order[position]))
            frames.append((position, frame))
            missing -= {*frame.images, *([LABEL] if frame.label is not None else [])}
    return frames[::-1]
