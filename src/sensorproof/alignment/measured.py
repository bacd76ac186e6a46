"""Measurements that are kept: a batch is measured once, on every core, and again only if something changed.

The file that keeps them is named by all that they depend on: the fingerprint of the batch, the settings and the code.
"""

from collections.abc import Mapping
from pathlib import Path

from sensorproof.alignment.decision.causes import find_causes
from sensorproof.alignment.known_statistics import Measuring, keep_statistics
from sensorproof.alignment.measurement import BatchMeasurements, join_shards
from sensorproof.alignment.shard import Shard
from sensorproof.alignment.shards import ShardTask, run_task, spans
from sensorproof.artifacts import SHARDS
from sensorproof.cache import hash_code, load_tree, prune, save_tree
from sensorproof.data.batch import Batch
from sensorproof.data.fingerprint import fingerprint
from sensorproof.hashing import hash_json
from sensorproof.parallel import count_workers, map_in_order
from sensorproof.settings import ValidationSettings

_KEPT_DAYS = 90.0
"""Measurements that nobody has used for so long are removed."""
_SHARD_DAYS = 7.0
"""The same for shards of batches whose measurement was never finished."""


def measure(
    batch: Batch, settings: ValidationSettings, how: Measuring, hashes: Mapping[str, str] | None = None
) -> BatchMeasurements:
    """Return the measures of a batch, which are kept for the next time.

    An interrupted measurement goes on with the shards that it lacks. The result does not depend on the number of
    processes.

    Args:
        batch: the batch; its files are read in the project's working folder.
        settings: the section validation.
        how: processes, progress, and where results are kept.
        hashes: {relative path: MD5} of the batch's files, if they are known.
    """
    key = measurement_key(batch, settings, hashes)
    path = how.measured / f"{key}.safetensors"
    if (tree := load_tree(path)) is not None:
        return BatchMeasurements.from_tree(tree, batch, key)
    tasks = shard_tasks(batch, settings, key, how.shards)
    shards = map_in_order(run_task, tasks, count_workers(how.workers), how.progress)
    measurements = join_shards(batch, settings, (_read_shard(task) for task, _ in zip(tasks, shards, strict=True)))
    measurements.causes = tuple(find_causes(batch, measurements.table, settings.content))
    measurements.key = key
    keep_statistics(batch, measurements.statistics, how, hashes)
    save_tree(path, measurements.to_tree())
    for task in tasks:
        task.target.unlink(missing_ok=True)
    prune(how.measured, _KEPT_DAYS)
    prune(how.shards, _SHARD_DAYS)
    return measurements


def measurement_key(batch: Batch, settings: ValidationSettings, hashes: Mapping[str, str] | None = None) -> str:
    """Return the hash of all that the measures of a batch depend on."""
    read = {
        "time": settings.time.model_dump(mode="json"),
        "content": settings.content.model_dump(mode="json"),
        "blank_contrast": settings.health.blank_contrast,
    }
    return hash_json([fingerprint(batch, hashes), read, hash_code("sensorproof.alignment", "sensorproof.data")])[:40]


def shard_tasks(batch: Batch, settings: ValidationSettings, key: str, folder: Path = SHARDS) -> list[ShardTask]:
    """Return the shards of a batch; each result has a name of its own, so that a lost one is made again."""
    return [
        ShardTask(batch.root, settings, start, stop, folder / f"{hash_json([key, start, stop])[:40]}.safetensors")
        for start, stop in spans(len(batch.frames))
    ]


def _read_shard(task: ShardTask) -> Shard:
    """Read a shard; make it again if it was lost meanwhile."""
    while (tree := load_tree(task.target)) is None:
        run_task(task)
    return Shard.from_tree(tree)
