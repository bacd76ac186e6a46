"""Prepare frames in shards, in any process; a shard that is kept is not prepared again."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.cache import hash_code, load_tree, save_tree
from sensorproof.data.batch import Batch, BatchInfo, read_batch
from sensorproof.data.channel_statistics import sum_up
from sensorproof.data.fingerprint import fingerprint
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import IGNORE, StoredType
from sensorproof.data.preprocessing import fit_image, label_lookup, resize_label, round_image
from sensorproof.hashing import hash_json
from sensorproof.parallel import Progress, map_in_order, single_threaded

_SHARD_BYTES = 48 * 2**20
"""Largest size of a shard's arrays, so that memory does not depend on the size of the images."""
_SHARD_FRAMES = 64


@dataclass(frozen=True)
class PrepareTask:
    """Some consecutive frames of a batch to be prepared, in this process or another."""

    root: Path
    start: int
    stop: int
    info: BatchInfo
    """The sensors and classes of all batches."""
    size: tuple[int, int]
    stored: Mapping[str, StoredType]
    target: Path | None
    """The file of the result; its name is the hash of all that the result depends on. None keeps no file."""


@dataclass(frozen=True)
class PreparedShard:
    """The prepared frames of one task, in order."""

    images: dict[str, NDArray[np.floating]]
    """{sensor: (n, C, H, W)}, NaN where invalid or absent; without sensors that none of the frames has."""
    label: NDArray[np.uint8]
    """(n, H, W)."""
    sums: dict[str, NDArray[np.float64]]
    """{sensor: (n, 3, C) number, sum and sum of squares of the valid pixels before rounding}."""
    label_counts: NDArray[np.int64]
    """(n, 256) pixels of each value of the labels as stored in the batch; 0 without a label."""
    hashes: list[str]
    """Of the prepared images; empty for a frame of fewer than two."""
    faults: list[list[tuple[str, str]]]
    """For each frame (file, fault) of what makes it unusable."""


def prepare_tasks(
    batches: Sequence[Batch],
    info: BatchInfo,
    size: tuple[int, int],
    stored: Mapping[str, StoredType],
    folder: Path | None,
) -> Iterator[PrepareTask]:
    """Yield the shards of all batches, in order.

    Args:
        batches: all batches.
        info: the sensors and classes of all of them.
        size: height and width of the result.
        stored: {sensor: number type of its prepared images}.
        folder: where results are kept; None keeps none.
    """
    pixels = size[0] * size[1]
    frame_bytes = pixels * (1 + sum(np.dtype(stored[n]).itemsize * s.channels for n, s in info.sensors.items()))
    length = int(np.clip(_SHARD_BYTES // frame_bytes, 1, _SHARD_FRAMES))
    claims = {name: [s.kind, s.channels, s.range, s.nodata] for name, s in info.sensors.items()}
    classes = [info.ignore_index, [each.model_dump() for each in info.classes]]
    for batch in batches:
        key = (
            [] if folder is None else [fingerprint(batch), claims, classes, size, dict(stored), hash_code(__package__)]
        )
        for start in range(0, len(batch.frames), length):
            stop = min(start + length, len(batch.frames))
            target = None if folder is None else folder / f"{hash_json([*key, start, stop])[:40]}.safetensors"
            yield PrepareTask(batch.root, start, stop, info, size, stored, target)


def prepare_all(tasks: Sequence[PrepareTask], workers: int, progress: Progress | None) -> Iterator[PreparedShard]:
    """Yield the prepared shards in order; the result does not depend on the number of processes."""
    if any(task.target is None for task in tasks):
        yield from (prepare_shard(task) for task in tasks)
        return
    missing = [task for task in tasks if task.target is not None and not task.target.is_file()]
    done = map_in_order(run_task, missing, workers, progress)
    waiting = {id(task) for task in missing}
    for task in tasks:
        if id(task) in waiting:
            next(done)
        yield _read_shard(task)
    next(done, None)  # lets it end its processes


def run_task(task: PrepareTask) -> None:
    """Prepare a shard and keep it, unless that has been done."""
    if task.target is not None and not task.target.is_file():
        save_tree(task.target, vars(prepare_shard(task)))


def _read_shard(task: PrepareTask) -> PreparedShard:
    """Read a shard that is kept; prepare it again if it is damaged or lost."""
    assert task.target is not None
    while (tree := load_tree(task.target)) is None:
        task.target.unlink(missing_ok=True)
        run_task(task)
    faults = [[(file, fault) for file, fault in frame] for frame in tree["faults"]]
    return PreparedShard(**{**tree, "faults": faults})


def prepare_shard(task: PrepareTask) -> PreparedShard:
    """Decode, check, scale and resize the frames of a task."""
    batch = read_batch(task.root)
    count, (height, width) = task.stop - task.start, task.size
    images: dict[str, NDArray[Any]] = {}
    sums = {name: np.zeros((count, 3, sensor.channels)) for name, sensor in task.info.sensors.items()}
    labels = np.full((count, height, width), IGNORE, np.uint8)
    label_counts = np.zeros((count, 256), np.int64)
    hashes, all_faults, lookup = [], [], label_lookup(task.info)
    with single_threaded():
        for k in range(count):
            frame, findings = load_frame(batch, task.start + k)
            faults = [(f.file, f.fault) for f in findings if f.severity == "critical"]
            all_faults.append(faults)
            digest, readable = hashlib.sha256(), 0
            for name, sensor in task.info.sensors.items():
                pixels = None if faults else frame.images.get(name)
                if pixels is None:
                    continue
                fitted = fit_image(pixels, sensor, task.size)
                if name not in images:
                    shape = (count, sensor.channels, height, width)
                    images[name] = np.full(shape, np.nan, task.stored[name])
                images[name][k] = rounded = round_image(fitted, task.stored[name])
                digest.update(name.encode() + rounded.tobytes())
                readable += 1
                sums[name][k] = sum_up(fitted)
            hashes.append(digest.hexdigest() if readable > 1 else "")
            if frame.label is not None and not faults:
                labels[k] = resize_label(lookup[frame.label], task.size)
                label_counts[k] = np.bincount(frame.label.ravel(), minlength=256)
    return PreparedShard(images, labels, sums, label_counts, hashes, all_faults)
