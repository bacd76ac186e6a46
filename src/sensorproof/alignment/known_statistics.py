"""Image statistics that are kept for every frame that was ever measured, so that drift reads no old frame again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensorproof.alignment.frames import read_frame
from sensorproof.alignment.measures.image_statistics import image_statistics
from sensorproof.artifacts import MEASURED, SHARDS, STATISTICS
from sensorproof.cache import hash_code, load_tree, prune, save_tree
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.fingerprint import fingerprint
from sensorproof.hashing import hash_json
from sensorproof.parallel import Progress, count_workers, map_in_order, single_threaded

_TASK_FRAMES = 32
_KEPT_DAYS = 90.0


@dataclass(frozen=True)
class Measuring:
    """How to measure, and where results are kept."""

    workers: int = 1
    """Processes; 0 for one on each processor."""
    progress: Progress | None = None
    """Is told how many shards are done."""
    measured: Path = MEASURED
    shards: Path = SHARDS
    statistics: Path = STATISTICS


def known_statistics(batch: Batch, rows: Sequence[int], how: Measuring) -> pd.DataFrame:
    """Return the statistics of some frames of a batch; those that are not known yet are measured and kept.

    Args:
        batch: the batch.
        rows: of its frames.
        how: processes, and where statistics are kept.

    Returns:
        A row per frame and sensor, see `image_statistics`, without files that cannot be read.
    """
    path = _path(batch, how)
    tree = load_tree(path) or {"rows": [], "statistics": pd.DataFrame()}
    table = tree["statistics"]
    if missing := sorted(set(rows) - set(tree["rows"])):
        tasks = [(batch.root, missing[k : k + _TASK_FRAMES]) for k in range(0, len(missing), _TASK_FRAMES)]
        found = [row for part in map_in_order(measure_rows, tasks, count_workers(how.workers)) for row in part]
        table = pd.concat([table, _single_precision(pd.DataFrame(found))], ignore_index=True)
        save_tree(path, {"rows": sorted({*tree["rows"], *missing}), "statistics": table})
    wanted = set(batch.frames.frame_id.iloc[list(rows)])
    return table[table.frame_id.isin(wanted)] if len(table) else table


def keep_statistics(batch: Batch, table: pd.DataFrame, how: Measuring, hashes: Mapping[str, str] | None = None) -> None:
    """Keep the statistics of all frames of a batch, which has just been measured."""
    save_tree(_path(batch, how, hashes), {"rows": list(range(len(batch.frames))), "statistics": table})
    prune(how.statistics, _KEPT_DAYS)


def measure_rows(task: tuple[Path, list[int]]) -> list[dict[str, Any]]:
    """Measure the statistics of some frames: the batch's folder and the rows of frames.csv."""
    batch = read_batch(task[0])
    with single_threaded():
        return [row for index in task[1] for row in _frame_statistics(batch, index)]


def _path(batch: Batch, how: Measuring, hashes: Mapping[str, str] | None = None) -> Path:
    """Return the file of a batch's statistics."""
    key = hash_json([fingerprint(batch, hashes), hash_code("sensorproof.alignment.measures", "sensorproof.data")])
    return how.statistics / f"{key[:40]}.safetensors"


def _single_precision(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose numbers have the precision of measured batches."""
    numbers = [name for name, dtype in table.dtypes.items() if dtype == np.float64]
    return table.astype(dict.fromkeys(numbers, np.float32))


def _frame_statistics(batch: Batch, row: int) -> list[dict[str, Any]]:
    """Return the statistics of every sensor of one frame, without files that cannot be read."""
    cells = batch.frames.iloc[row]
    keys = {"batch": batch.name, "frame_id": cells.frame_id, "site": cells.site, "sequence": cells.sequence}
    images = read_frame(batch, row).images
    return [image_statistics(image, batch.sensors[name], {**keys, "sensor": name}) for name, image in images.items()]
