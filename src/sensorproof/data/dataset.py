"""Prepared arrays -> standardised tensors, in batches that depend on nothing but seed and step."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.metadata import PreparedMeta, SensorInput, read_meta
from sensorproof.errors import SensorproofError
from sensorproof.files import hash_file, hash_json


@dataclass(frozen=True)
class TensorBatch:
    """inputs {sensor: (B, C, H, W) float32}, present {sensor: (B,) bool}, target (B, H, W) int64."""

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    target: Tensor

    def to(self, device: torch.device) -> "TensorBatch":
        return TensorBatch(
            {name: x.to(device, non_blocking=True) for name, x in self.inputs.items()},
            {name: x.to(device, non_blocking=True) for name, x in self.present.items()},
            self.target.to(device, non_blocking=True),
        )


def standardize(pixels: NDArray[np.float16], sensor: SensorInput) -> Tensor:
    """Scaled pixels (B, C, H, W) as a model sees them; those that are not finite are 0, the training mean."""
    mean = torch.tensor(sensor.mean).reshape(1, -1, 1, 1)
    std = torch.tensor(sensor.std).reshape(1, -1, 1, 1)
    standardized = (torch.from_numpy(pixels).float() - mean) / std  # torch widens float16 faster than numpy
    return torch.nan_to_num(standardized, nan=0.0, posinf=0.0, neginf=0.0)


class PreparedDataset:
    """What stage prepare wrote, less the frames in quarantine. Arrays stay on disk until they are asked for.

    Args:
        root: the folder of stage prepare.
        quarantined: a table with the columns batch and frame_id of frames to leave out, or None.
    """

    def __init__(self, root: Path, quarantined: Path | None = None) -> None:
        self.root = root
        self.meta: PreparedMeta = read_meta(root)
        frames = pd.read_csv(root / "frames.csv", keep_default_na=False, dtype={"frame_id": str, "batch": str})
        self.frames: pd.DataFrame = frames[frames.fault == ""]
        if quarantined is not None:
            out = pd.read_csv(quarantined, dtype=str, keep_default_na=False)
            keys = set(zip(out.batch, out.frame_id, strict=True))
            kept = [(b, f) not in keys for b, f in zip(self.frames.batch, self.frames.frame_id, strict=True)]
            self.frames = self.frames[kept]
        self.sensors = sorted(self.meta.sensors)
        self.present = {s: frames[f"present_{s}"].to_numpy(dtype=bool) for s in self.sensors}
        self.images = {s: np.load(root / f"{s}.npy", mmap_mode="r", allow_pickle=False) for s in self.sensors}
        self.labels: NDArray[np.uint8] = np.load(root / "label.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def digest(self) -> str:
        """A hash of all that a training can see: tables, pixels, labels, and which frames are left out."""
        files = {path.name: hash_file(path) for path in sorted(self.root.iterdir())}
        return hash_json([files, self.frames.index.tolist()])

    def rows(self, split: str) -> NDArray[np.int64]:
        """Array rows of the labelled frames of a split.

        Raises:
            SensorproofError: there is none.
        """
        chosen = self.frames[(self.frames.split == split) & self.frames.labelled]
        if chosen.empty:
            fix = "give more labelled sequences, or a split column in frames.csv"
            raise SensorproofError(self.root / "frames.csv", f"no labelled frame for {split}", fix)
        return chosen.index.to_numpy(dtype=np.int64)

    def batch(self, rows: NDArray[np.int64]) -> TensorBatch:
        """Read some rows as standardised tensors; invalid pixels are 0, the training mean."""
        order = np.sort(np.unique(rows))
        places = np.searchsorted(order, rows)
        inputs, present = {}, {}
        for name in self.sensors:
            inputs[name] = standardize(self.images[name][order][places], self.meta.sensors[name])
            present[name] = torch.from_numpy(self.present[name][rows])
        target = torch.from_numpy(self.labels[order][places].astype(np.int64))
        return TensorBatch(inputs, present, target)

    def ordered(self, split: str, size: int) -> Iterator[TensorBatch]:
        """All labelled frames of a split, in order, in batches of `size`."""
        rows = self.rows(split)
        for start in range(0, len(rows), size):
            yield self.batch(rows[start : start + size])


class TrainingSampler:
    """Shuffled training batches. Batch k is a function of the seed and k alone, so a resumed run sees the same.

    Args:
        data: where to read.
        size: frames per batch.
        seed: of the order and of the flips.
        flip: mirror half of the batches' frames left to right.
    """

    def __init__(self, data: PreparedDataset, size: int, seed: int, flip: bool) -> None:
        self.data, self.size, self.seed, self.flip = data, size, seed, flip
        self.all_rows = data.rows("train")

    def __call__(self, step: int) -> TensorBatch:
        first = step * self.size
        count = len(self.all_rows)
        epochs = range(first // count, (first + self.size - 1) // count + 1)
        stream = np.concatenate([np.random.default_rng([self.seed, e]).permutation(count) for e in epochs])
        offset = first - epochs[0] * count
        batch = self.data.batch(self.all_rows[stream[offset : offset + self.size]])
        if not self.flip:
            return batch
        rng = np.random.default_rng([self.seed, step, 1])
        return mirror(batch, torch.from_numpy(rng.random(self.size) < 0.5))


def mirror(batch: TensorBatch, chosen: Tensor) -> TensorBatch:
    """Flip the chosen samples (bool, (B,)) left to right, all sensors and the target alike."""

    def flipped(x: Tensor) -> Tensor:
        return torch.where(chosen.reshape(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)

    inputs: dict[str, Any] = {name: flipped(x) for name, x in batch.inputs.items()}
    return TensorBatch(inputs, batch.present, flipped(batch.target))
