"""Prepared arrays as standardised tensors, in batches that depend on nothing but seed and step."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.frame_table import Split
from sensorproof.data.metadata import PreparedMeta, SensorInput, read_meta, read_prepared_frames, usable_frames
from sensorproof.data.photometric import change_light, draw_factors, strengths_of
from sensorproof.data.preprocessing import standardize
from sensorproof.errors import SensorproofError
from sensorproof.hashing import hash_json, hash_prepared
from sensorproof.settings.data import Standardization

Images = Mapping[str, NDArray[np.floating]]
"""{sensor: prepared images (B, C, H, W)}."""
Standardize = Callable[[Images], dict[str, Tensor]]
_LIGHT = 3
"""The stream of random numbers for photometric augmentation."""


@dataclass(frozen=True)
class TensorBatch:
    """What a model is trained or scored on in one step."""

    inputs: dict[str, Tensor]
    """{sensor: (B, C, H, W) float32}, standardised; 0 where a pixel is invalid or the sensor is absent."""
    present: dict[str, Tensor]
    """{sensor: (B,) bool}, whether the frame has the sensor."""
    target: Tensor
    """(B, H, W) int64, places in `classes` or IGNORE."""

    def to(self, device: torch.device) -> "TensorBatch":
        """Return the batch on a device."""
        return TensorBatch(
            {name: x.to(device, non_blocking=True) for name, x in self.inputs.items()},
            {name: x.to(device, non_blocking=True) for name, x in self.present.items()},
            self.target.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "TensorBatch":
        """Return the batch in memory from which a GPU can copy while it computes; `DataLoader` calls this."""
        return TensorBatch(
            {name: x.pin_memory() for name, x in self.inputs.items()},
            {name: x.pin_memory() for name, x in self.present.items()},
            self.target.pin_memory(),
        )


class PreparedDataset:
    """What stage prepare wrote, less the frames in quarantine. Arrays stay on disk until they are asked for.

    Args:
        root: the folder of stage prepare.
        quarantined: a table with the columns batch and frame_id of frames to leave out, or None.
        sensors: give these alone, and only frames that have one of them; None for all.

    Raises:
        SensorproofError: meta.json is missing or broken.
    """

    def __init__(self, root: Path, quarantined: Path | None = None, sensors: Sequence[str] | None = None) -> None:
        self.root, self._alone = root, sensors
        self.meta: PreparedMeta = read_meta(root)
        frames = read_prepared_frames(root)
        self.frames: pd.DataFrame = usable_frames(frames, quarantined)
        if sensors is not None:
            self.meta = self.meta.model_copy(update={"sensors": {name: self.meta.sensors[name] for name in sensors}})
            self.frames = self.frames[self.frames[[f"present_{name}" for name in sensors]].any(axis=1)]
        self._prepared_inputs = self.meta.sensors
        self.sensors = sorted(self.meta.sensors)
        self.stored_rows: NDArray[np.int64] = np.arange(len(frames))
        """Where each row is in frames.csv."""
        self.present = {name: frames[f"present_{name}"].to_numpy(dtype=bool) for name in self.sensors}
        self.images = {name: np.load(root / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in self.sensors}
        self.labels: NDArray[np.uint8] = np.load(root / "label.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def digest(self) -> str:
        """A hash of all that a training can see: tables, pixels, labels, and which frames are left out."""
        digest = hash_prepared(self.root, self.frames.index.tolist())
        inputs = {name: own for name, own in self.meta.sensors.items() if own != self._prepared_inputs[name]}
        changed = {name: own.model_dump(mode="json") for name, own in inputs.items()}
        differences = [each for each in (self._alone and self.sensors, changed) if each]
        return hash_json([digest, *differences]) if differences else digest

    def standardized(self, choices: Mapping[str, Standardization]) -> Self:
        """Return the same data with the inputs of some sensors standardised another way.

        Args:
            choices: {sensor: how}; sensors that the data lack are passed over, those not named stay as they are.
        """
        sensors = self.meta.sensors
        changed = {
            name: sensors[name].model_copy(update={"standardize": how})
            for name, how in choices.items()
            if name in sensors and sensors[name].standardize != how
        }
        return self.with_inputs({**sensors, **changed}) if changed else self

    def with_inputs(self, sensors: Mapping[str, SensorInput]) -> Self:
        """Return the same data with the inputs that a model was trained with, which its description has."""
        own = copy.copy(self)
        own.meta = self.meta.model_copy(update={"sensors": {name: sensors[name] for name in self.sensors}})
        own.__dict__.pop("digest", None)
        return own

    def rows(self, split: Split) -> NDArray[np.int64]:
        """Return the array rows of the labelled frames of a split.

        Raises:
            SensorproofError: there is none.
        """
        selected = self.frames[(self.frames.split == split) & self.frames.labelled]
        if selected.empty:
            fix = "give more labelled sequences, or a split column in frames.csv"
            raise SensorproofError(self.root / "frames.csv", f"no labelled frame for {split}", fix)
        return selected.index.to_numpy(dtype=np.int64)

    def batch(self, rows: NDArray[np.int64], standardize: Standardize | None = None) -> TensorBatch:
        """Read some rows (B,) as standardised tensors; a row may repeat.

        Args:
            rows: of the arrays.
            standardize: maps {sensor: prepared images (B, C, H, W)} to {sensor: standardised images}; None for
                `preprocessing.standardize` of each.
        """
        # Read each row once and in the order on disk, then put them in the order asked for.
        unique = np.sort(np.unique(rows))
        places = np.searchsorted(unique, rows)
        images = {name: self.images[name][unique][places] for name in self.sensors}
        present = {name: torch.from_numpy(self.present[name][rows]) for name in self.sensors}
        target = torch.from_numpy(self.labels[unique][places].astype(np.int64))
        return TensorBatch((standardize or self.standardize)(images), present, target)

    def standardize(self, images: Images) -> dict[str, Tensor]:
        """Standardise {sensor: prepared images (B, C, H, W)}."""
        return {name: standardize(own, self.meta.sensors[name]) for name, own in images.items()}

    def ordered(self, split: Split, size: int) -> Iterator[TensorBatch]:
        """Yield all labelled frames of a split, in order, in batches of `size`; the last may be smaller."""
        rows = self.rows(split)
        for start in range(0, len(rows), size):
            yield self.batch(rows[start : start + size])


class TrainingSampler:
    """Shuffled training batches. Batch k depends on the seed and k alone, so a resumed training sees the same.

    Args:
        data: the prepared data.
        size: frames per batch.
        seed: of the order and of the flips.
        horizontal_flip: whether to mirror half of the frames left to right, at random.
        photometric: {sensor: strength from 0 to 1} of random changes of light, gain and noise; sensors that the data
            lack are passed over.
    """

    def __init__(
        self,
        data: PreparedDataset,
        size: int,
        seed: int,
        horizontal_flip: bool,
        photometric: Mapping[str, float] | None = None,
    ) -> None:
        self.data, self.size, self.seed, self.horizontal_flip = data, size, seed, horizontal_flip
        self.photometric = strengths_of(photometric or {}, data.sensors)
        self.all_rows = data.rows("train")

    def __call__(self, step: int, samples: slice = slice(None)) -> TensorBatch:
        """Return the batch of a step, counted from 0, or some of its samples; the others are not read."""
        first = step * self.size
        count = len(self.all_rows)
        epochs = range(first // count, (first + self.size - 1) // count + 1)
        stream = np.concatenate([np.random.default_rng([self.seed, e]).permutation(count) for e in epochs])
        offset = first - epochs[0] * count
        batch = self._read(self.all_rows[stream[offset : offset + self.size]][samples], step, samples)
        if not self.horizontal_flip:
            return batch
        rng = np.random.default_rng([self.seed, step, 1])
        return mirror(batch, torch.from_numpy(rng.random(self.size)[samples] < 0.5))

    def _read(self, rows: NDArray[np.int64], step: int, samples: slice) -> TensorBatch:
        """Read the rows of some samples."""
        return self.data.batch(rows, partial(self._standardize, step=step, samples=samples))

    def _standardize(self, images: Images, step: int, samples: slice) -> dict[str, Tensor]:
        """Change the light of the sensors that are to be changed, then standardise all."""
        return self.data.standardize(self._change_light(images, step, samples))

    def _change_light(self, images: Images, step: int, samples: slice) -> Images:
        """Change the light of those of the images that are to be changed, the same way each time."""
        if not self.photometric:
            return images
        rng = np.random.default_rng([self.seed, step, _LIGHT])
        factors = draw_factors(rng, self.size, len(self.photometric))[samples]
        changed = dict(images)
        for k, (name, strength) in enumerate(self.photometric.items()):
            if name not in images:
                continue
            kind = self.data.meta.sensors[name].kind
            changed[name] = change_light(images[name], factors[:, k], strength, kind).numpy()
        return changed


def mirror(batch: TensorBatch, selected: Tensor) -> TensorBatch:
    """Flip the selected samples (bool, (B,)) left to right, all sensors and the target alike, in place."""
    for sample in selected.nonzero()[:, 0].tolist():
        for x in (*batch.inputs.values(), batch.target):
            x[sample] = x[sample].flip(-1)
    return batch
