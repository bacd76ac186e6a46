"""Write the prepared arrays of all batches, shard by shard, and sum up what their pixels say."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import Batch, BatchInfo
from sensorproof.data.channel_statistics import ChannelStatistics
from sensorproof.data.frame_table import SPLITS
from sensorproof.data.precision import StoredPrecision
from sensorproof.data.prepare_shards import PreparedShard


@dataclass(frozen=True)
class Contents:
    """What the pixels say, beside the arrays that they are written to."""

    statistics: dict[str, ChannelStatistics]
    """{sensor: statistics of its training pixels}."""
    label_counts: dict[str, NDArray[np.int64]]
    """{split: (256,) pixels of each value of the labels}."""
    hashes: list[str]
    """For each row a hash of its prepared images; empty for a frame of fewer than two."""


def write_arrays(
    shards: Iterable[PreparedShard],
    batches: Sequence[Batch],
    info: BatchInfo,
    table: pd.DataFrame,
    size: tuple[int, int],
    folder: Path,
    precision: Mapping[str, StoredPrecision],
) -> Contents:
    """Write the arrays shard by shard, so that memory does not grow with their number; note faults in the table."""
    statistics = {name: ChannelStatistics(sensor.channels) for name, sensor in info.sensors.items()}
    label_counts: dict[str, NDArray[np.int64]] = {split: np.zeros(256, np.int64) for split in SPLITS}
    hashes: list[str] = []
    owners = [batch for batch in batches for _ in range(len(batch.frames))]
    splits, all_faults = table["split"].tolist(), table.fault.tolist()
    with ExitStack() as stack:
        images = {
            name: stack.enter_context(
                _ArrayFile.of(folder / f"{name}.npy", (len(table), sensor.channels, *size), precision[name].stored)
            )
            for name, sensor in info.sensors.items()
        }
        labels = stack.enter_context(_ArrayFile.of(folder / "label.npy", (len(table), *size), "uint8"))
        for shard in shards:
            first = len(hashes)
            for name, file in images.items():
                file.append(shard.images.get(name), len(shard.hashes))
            labels.append(shard.label, len(shard.hashes))
            hashes += shard.hashes
            for k, faults in enumerate(shard.faults, first):
                all_faults[k] = "; ".join(f"{owners[k].locate(file)}: {fault}" for file, fault in faults)
                if splits[k]:
                    label_counts[splits[k]] += shard.label_counts[k - first]
                if splits[k] == "train":
                    for name, sums in shard.sums.items():
                        statistics[name].add(sums[k - first])
    table["fault"] = all_faults
    return Contents(statistics, label_counts, hashes)


@dataclass(frozen=True)
class _ArrayFile:
    """An .npy file that is written from its beginning to its end; a memory map would fill the memory with its pages."""

    file: BinaryIO
    shape: tuple[int, ...]
    stored: str

    @classmethod
    @contextmanager
    def of(cls, path: Path, shape: tuple[int, ...], stored: str) -> Iterator["_ArrayFile"]:
        """Open a file for an array (N, ...)."""
        with path.open("wb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(stored)), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            yield cls(file, shape, stored)

    def append(self, values: NDArray[Any] | None, count: int) -> None:
        """Write the next `count` entries; NaN if there are no values."""
        if values is None:
            values = np.full((count, *self.shape[1:]), np.nan, self.stored)
        self.file.write(np.ascontiguousarray(values).data)
