"""The labelled frames of a batch, and what is measured over all of its frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import Frame, load_frame
from sensorproof.data.preprocessing import label_lookup
from sensorproof.errors import BatchError


def open_batch(batch: Batch | str | Path) -> Batch:
    """Read a batch unless that is done already."""
    return batch if isinstance(batch, Batch) else read_batch(Path(batch))


def rows_of(batch: Batch, split: str | None = None) -> list[int]:
    """List the rows of the frames of a split, or of all."""
    return [row for row, own in enumerate(batch.frames.split) if not split or own == split]


def labelled(batch: Batch, rows: list[int]) -> list[int]:
    """List those of the rows whose frames have a label."""
    return [row for row in rows if batch.frames.label.iloc[row]]


def read_labelled(
    batch: Batch, sensors: tuple[str, ...], rows: list[int]
) -> Iterator[tuple[int, Frame, NDArray[np.uint8]]]:
    """Yield row, frame and label (places in `classes`, IGNORE where none) of the frames that can be scored.

    Args:
        batch: the batch.
        sensors: those that frames are given with.
        rows: of frames with a label.

    Raises:
        BatchError: no frame can be scored.
    """
    lookup, scored = label_lookup(batch.info), 0
    for row in rows:
        frame, findings = load_frame(batch, row)
        images = {name: pixels for name, pixels in frame.images.items() if name in sensors}
        if frame.label is None or not images or any(finding.severity == "critical" for finding in findings):
            continue
        scored += 1
        yield row, Frame(frame.frame_id, images, frame.label), lookup[frame.label]
    if not scored:
        raise BatchError(batch.root, "has no labelled frame that can be scored", "give labels in frames.csv")


def labelled_frames(batch: Batch, sensors: tuple[str, ...]) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
    """Yield all labelled frames that can be scored, with their labels; see `read_labelled`."""
    for _, frame, truth in read_labelled(batch, sensors, labelled(batch, rows_of(batch))):
        yield frame, truth


@dataclass(frozen=True)
class Statistics:
    """Of the valid pixels of one sensor over the frames of a batch, in its own units."""

    mean: NDArray[np.float32]
    """(C, 1, 1)."""
    std: NDArray[np.float32]
    """(C, 1, 1); 1 for a channel that is constant."""


def measure_statistics(batch: Batch, sensors: tuple[str, ...], rows: list[int]) -> dict[str, Statistics]:
    """Measure each sensor over some frames, labelled or not; a sensor that none of them has is left out."""
    sums: dict[str, NDArray[np.float64]] = {}
    for row in rows:
        for name, pixels in load_frame(batch, row)[0].images.items():
            if name in sensors:
                valid = np.isfinite(pixels)
                values = np.where(valid, pixels, 0).astype(np.float64)
                part = np.stack([valid.sum((1, 2)), values.sum((1, 2)), (values**2).sum((1, 2))])
                sums[name] = sums.get(name, 0.0) + part
    return {name: _to_statistics(total) for name, total in sums.items()}


def _to_statistics(sums: NDArray[np.float64]) -> Statistics:
    """Compute mean and deviation of (3, C): number, sum and sum of squares of the values of each channel."""
    number, total, squares = sums
    mean = total / np.maximum(number, 1)
    std = np.sqrt(np.maximum(squares / np.maximum(number, 1) - mean**2, 0))
    std = np.where(std > 0, std, 1)
    return Statistics(mean.astype(np.float32)[:, None, None], std.astype(np.float32)[:, None, None])
