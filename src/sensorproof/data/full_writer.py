"""Write frames at their own resolution, for training on crops; see `full_frames` for the format."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from sensorproof.data.batch import Batch, BatchInfo, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.full_frames import FOLDER, INDEX, LABEL, FullIndex, StoredFrame
from sensorproof.data.metadata import StoredType
from sensorproof.data.preprocessing import fit_image, label_lookup, round_image
from sensorproof.files import write_json
from sensorproof.parallel import Progress, map_in_order, single_threaded

_FRAMES = 4
"""Frames of a shard: a few, as they are held in memory while it is written."""


@dataclass(frozen=True)
class _Task:
    """Some frames of one batch, to be written as one shard by this process or another."""

    root: Path
    rows: tuple[tuple[int, int], ...]
    """(row of frames.csv of the prepared data, row of the batch)."""
    info: BatchInfo
    stored: dict[str, StoredType]
    target: Path


def write_full_frames(
    batches: Sequence[Batch],
    wanted: Sequence[bool],
    info: BatchInfo,
    stored: dict[str, StoredType],
    folder: Path,
    workers: int,
    progress: Progress | None = None,
) -> None:
    """Write shards and their index. All sensors of a frame get the size of its label, as `fit_image` does it.

    Args:
        batches: all batches.
        wanted: for each frame of all batches, in order, whether to write it; it has a label and no fault.
        info: the sensors and classes of all batches.
        stored: {sensor: number type of its images}.
        folder: of stage prepare.
        workers: processes.
        progress: is told how many shards are done.
    """
    (folder / FOLDER).mkdir()
    tasks: list[_Task] = []
    first = 0
    for batch in batches:
        rows = [(first + k, k) for k in range(len(batch.frames)) if wanted[first + k]]
        for start in range(0, len(rows), _FRAMES):
            target = folder / FOLDER / f"{len(tasks):05}.safetensors"
            tasks.append(_Task(batch.root, tuple(rows[start : start + _FRAMES]), info, stored, target))
        first += len(batch.frames)
    frames: dict[int, StoredFrame] = {}
    sha256: dict[str, str] = {}
    for task, (sizes, digest) in zip(tasks, map_in_order(_write_shard, tasks, workers, progress), strict=True):
        frames |= {row: StoredFrame(shard=task.target.name, size=size) for row, size in sizes.items()}
        sha256[task.target.name] = digest
    write_json(folder / INDEX, FullIndex(frames=frames, sha256=sha256).model_dump(mode="json"))


def _write_shard(task: _Task) -> tuple[dict[int, tuple[int, int]], str]:
    """Write one shard; return the sizes of its frames and the hash of its file."""
    batch, lookup = read_batch(task.root), label_lookup(task.info)
    arrays: dict[str, NDArray[Any]] = {}
    sizes: dict[int, tuple[int, int]] = {}
    with single_threaded():
        for row, k in task.rows:
            frame, _ = load_frame(batch, k)
            assert frame.label is not None
            height, width = sizes[row] = frame.label.shape[0], frame.label.shape[1]
            arrays[f"{row}/{LABEL}"] = lookup[frame.label]
            for name, pixels in frame.images.items():
                fitted = fit_image(pixels, task.info.sensors[name], (height, width))
                arrays[f"{row}/{name}"] = np.ascontiguousarray(round_image(fitted, task.stored[name]))
    save_file(arrays, task.target)
    with task.target.open("rb") as file:
        return sizes, hashlib.file_digest(file, "sha256").hexdigest()
