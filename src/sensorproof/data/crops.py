"""Random crops of frames at their own resolution: one window, scale and flip for all sensors and the label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.dataset import PreparedDataset, TensorBatch, TrainingSampler
from sensorproof.data.full_frames import FullFrames
from sensorproof.data.metadata import IGNORE
from sensorproof.data.preprocessing import Size, frame_statistics, resize_image, resize_label
from sensorproof.errors import SensorproofError

Window = tuple[slice, slice]
"""Rows and columns."""
_PLACE, _SCALE = 2, 4
"""Streams of random numbers, apart from those of the order (none), the flips (1) and the light (3)."""


@dataclass(frozen=True)
class Crop:
    """What to cut."""

    size: Size
    """Height and width in pixels of the result."""
    scales: tuple[float, float]
    """The least and the largest factor by which a frame is resized before it is cut."""


class CropSampler(TrainingSampler):
    """Shuffled batches of crops. Batch k depends on the seed and k alone, as with its base.

    A frame is resized by a factor drawn between the scales, on a logarithmic scale; only the window that the crop shows
    is read and resized. Around a frame that has become smaller than the crop, no pixel is valid and no label counts.

    Args:
        data: the prepared data.
        size: crops per batch.
        seed: of order, windows, flips and light.
        horizontal_flip: whether to mirror half of the crops left to right, at random.
        crop: what to cut.
        photometric: see `TrainingSampler`.

    Raises:
        SensorproofError: frames at their own resolution were not prepared, or a training frame is smaller than the
            crop.
    """

    def __init__(
        self,
        data: PreparedDataset,
        size: int,
        seed: int,
        horizontal_flip: bool,
        crop: Crop,
        photometric: dict[str, float] | None = None,
    ) -> None:
        super().__init__(data, size, seed, horizontal_flip, photometric)
        self.crop, self.full = crop, FullFrames(data.root)
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Stop before the training if frames are missing, or smaller than the crop."""
        rows = self.data.stored_rows[self.all_rows].tolist()
        where = "train.crop"
        if absent := [row for row in rows if row not in self.full.frames]:
            fault = f"{len(absent)} of {len(rows)} training frames are not there at their own resolution"
            raise SensorproofError(where, fault, "run `dvc repro prepare`")
        height, width = self.crop.size
        sizes = {row: self.full.frames[row].size for row in rows}
        if small := [row for row, (h, w) in sizes.items() if h < height or w < width]:
            least = min(sizes[row][0] for row in small), min(sizes[row][1] for row in small)
            fault = f"{height} x {width} is larger than {len(small)} of {len(rows)} training frames"
            fix = f"set it to at most {least[0]} x {least[1]}, or leave out frame {self._name(small[0])} and its like"
            raise SensorproofError(where, fault, fix)

    def _name(self, stored_row: int) -> str:
        """Return the frame_id of a row."""
        place = int(np.flatnonzero(self.data.stored_rows == stored_row)[0])
        return str(self.data.frames.frame_id[place])

    def _read(self, rows: NDArray[np.int64], step: int, samples: slice) -> TensorBatch:
        """Cut a crop of each row."""
        places = np.random.default_rng([self.seed, step, _PLACE]).random((self.size, 2))[samples]
        scales = np.random.default_rng([self.seed, step, _SCALE]).random(self.size)[samples]
        images, labels = self._empty(len(rows))
        present = {name: torch.from_numpy(self.data.present[name][rows]) for name in self.data.sensors}
        for k, row in enumerate(self.data.stored_rows[rows].tolist()):
            shown, filled = choose_window(self.full.frames[row].size, self.crop, float(scales[k]), places[k].tolist())
            size = filled[0].stop - filled[0].start, filled[1].stop - filled[1].start
            pixels, label = self.full.read(row, self.data.sensors, shown)
            labels[k][filled] = resize_label(label, size)
            for name, own in pixels.items():
                sensor = self.data.meta.sensors[name]
                wide = torch.from_numpy(own).float().numpy()  # faster than numpy from float16
                images[name][k][:, *filled] = resize_image(wide, size, sensor)
        target = torch.from_numpy(labels.astype(np.int64))
        return TensorBatch(self._standardize_crops(images, rows, step, samples), present, target)

    def _standardize_crops(
        self, images: dict[str, NDArray[np.float32]], rows: NDArray[np.int64], step: int, samples: slice
    ) -> dict[str, Tensor]:
        """Standardise crops; those of a sensor by the frame as their whole frames are, which the arrays hold."""
        by_frame = [name for name, sensor in self.data.meta.sensors.items() if sensor.standardize == "frame"]
        inputs = self._standardize({n: own for n, own in images.items() if n not in by_frame}, step, samples)
        crops = self._change_light({name: images[name] for name in by_frame}, step, samples)
        frames = self._change_light({name: self.data.images[name][rows] for name in by_frame}, step, samples)
        for name in by_frame:
            crop, frame = (torch.from_numpy(np.asarray(each[name])).float() for each in (crops, frames))
            mean, std = frame_statistics(frame, torch.isfinite(frame))
            inputs[name] = torch.nan_to_num((crop - mean) / std, nan=0.0, posinf=0.0, neginf=0.0)
        return inputs

    def _empty(self, count: int) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.uint8]]:
        """Return images without a valid pixel, and labels that do not count."""
        shapes: dict[str, Any] = {n: (count, s.channels, *self.crop.size) for n, s in self.data.meta.sensors.items()}
        images = {name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()}
        return images, np.full((count, *self.crop.size), IGNORE, np.uint8)


def choose_window(frame: Size, crop: Crop, scale: float, place: Sequence[float]) -> tuple[Window, Window]:
    """Return the rows and columns of a frame that a crop shows, and those of the crop that they fill.

    Args:
        frame: its height and width, each at least that of the crop.
        crop: what to cut.
        scale: from 0, the least factor, to 1, the largest.
        place: from 0 to 1, of the window's rows and columns in the frame; of the frame's in the crop if it is smaller.
    """
    low, high = np.log(crop.scales)
    factor = float(np.exp(low + scale * (high - low)))
    rows, columns = (_along(*side, factor) for side in zip(frame, crop.size, place, strict=True))
    return (rows[0], columns[0]), (rows[1], columns[1])


def _along(frame: int, crop: int, place: float, factor: float) -> tuple[slice, slice]:
    """Return what a crop shows of one side of a frame, and what that fills of the crop's side."""
    length = max(1, round(crop / factor))
    if length <= frame:
        start = int(place * (frame - length + 1))
        return slice(start, start + length), slice(0, crop)
    filled = min(crop, max(1, round(frame * factor)))
    start = int(place * (crop - filled + 1))
    return slice(0, frame), slice(start, start + filled)
