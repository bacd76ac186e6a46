"""The labelled frames of a batch as a model sees them, in memory; see `frame_source.FrameSource`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import SensorInput
from sensorproof.data.preprocessing import label_lookup, prepare_image, resize_label
from sensorproof.errors import BatchError
from sensorproof.models import ModelDescription


@dataclass(frozen=True)
class BatchFrames:
    """N frames."""

    sensors: dict[str, SensorInput]
    sequences: NDArray[np.str_]
    conditions: NDArray[np.str_]
    pixels: dict[str, NDArray[np.floating]]
    """{sensor: (N, C, H, W)}, prepared; NaN for a frame that lacks it."""
    places: NDArray[np.uint8]
    """(N, H, W) places in `classes` or IGNORE."""

    @property
    def size(self) -> tuple[int, int]:
        """See FrameSource."""
        _, height, width = self.places.shape
        return height, width

    def present(self, sensor: str) -> NDArray[np.bool_]:
        """See FrameSource."""
        return np.asarray(np.isfinite(self.pixels[sensor]).any((1, 2, 3)))

    def images(self, sensor: str, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        """See FrameSource."""
        return self.pixels[sensor][rows]

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See FrameSource."""
        return self.places[rows]


def read_frames(batch: Batch, description: ModelDescription, split: str | None = None) -> BatchFrames:
    """Read and prepare the labelled frames of a batch.

    Args:
        batch: has sensors of the model.
        description: the model's.
        split: only frames of this split (the column of frames.csv).

    Raises:
        BatchError: no frame has a label that can be read.
    """
    sensors = {name: sensor for name, sensor in description.sensors.items() if name in batch.sensors}
    table, lookup, size = batch.frames, label_lookup(batch.info), description.size
    chosen = (table.label != "") & ((table.split == split) if split else True)
    rows: list[int] = []
    labels: list[NDArray[np.uint8]] = []
    images: dict[str, list[NDArray[np.floating]]] = {name: [] for name in sensors}
    for row in np.flatnonzero(chosen.to_numpy()):
        frame, _ = load_frame(batch, int(row))
        if frame.label is None or not set(frame.images) & set(sensors):
            continue
        rows.append(int(row))
        labels.append(resize_label(lookup[frame.label], size))
        for name, sensor in sensors.items():
            own = frame.images.get(name)
            absent = np.full((sensor.channels, *size), np.nan, sensor.stored)
            images[name].append(absent if own is None else prepare_image(own, sensor, size, sensor.stored))
    if not rows:
        what = f"labelled frame of the split {split}" if split else "labelled frame"
        raise BatchError(batch.root, f"has no {what} that can be read", "give labels in frames.csv")
    frames = table.iloc[rows]
    return BatchFrames(
        sensors=sensors,
        sequences=np.array([f"{site}/{name}" for site, name in zip(frames.site, frames.sequence, strict=True)]),
        conditions=frames.condition.to_numpy(dtype=np.str_),
        pixels={name: np.stack(own) for name, own in images.items()},
        places=np.stack(labels),
    )
