"""Frames in the order of their streams, as the evaluation of silent failures reads them: prepared data or a batch."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.frame_table import Split
from sensorproof.data.metadata import SensorInput


class FrameSource(Protocol):
    """N labelled frames."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of all images and labels."""

    @property
    def sequences(self) -> NDArray[np.str_]:
        """(N) the stream of each frame; frames of one follow one another."""

    @property
    def conditions(self) -> NDArray[np.str_]:
        """(N)."""

    @property
    def sensors(self) -> dict[str, SensorInput]:
        """How each sensor is standardised."""

    def present(self, sensor: str) -> NDArray[np.bool_]:
        """(N) which frames have a sensor."""

    def images(self, sensor: str, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        """(B, C, H, W) prepared images of some of the frames."""

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(B, H, W) places in `classes` or IGNORE."""


def group_streams(sequences: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return for each frame (N) the row of the first frame of its stream, of which all follow one another.

    Examples:
        >>> group_streams(np.array(["a", "a", "b", "b", "b"])).tolist()
        [0, 0, 2, 2, 2]
    """
    starts = np.flatnonzero(np.r_[True, sequences[1:] != sequences[:-1]])
    return np.repeat(starts, np.diff(np.r_[starts, len(sequences)]))


@dataclass(frozen=True)
class PreparedFrames:
    """The labelled frames of a split of prepared data."""

    data: PreparedDataset
    rows: NDArray[np.int64]

    @classmethod
    def of_split(cls, data: PreparedDataset, split: Split) -> "PreparedFrames":
        """Take all labelled frames of a split."""
        return cls(data, data.rows(split))

    @property
    def size(self) -> tuple[int, int]:
        """See FrameSource."""
        return self.data.meta.size

    @property
    def sequences(self) -> NDArray[np.str_]:
        """See FrameSource."""
        frames = self.data.frames.loc[self.rows]
        names = zip(frames.batch, frames.site, frames.sequence, strict=True)
        return np.array(["/".join(map(str, name)) for name in names], dtype=np.str_)

    @property
    def conditions(self) -> NDArray[np.str_]:
        """See FrameSource."""
        return self.data.frames.loc[self.rows].condition.to_numpy(dtype=np.str_)

    @property
    def sensors(self) -> dict[str, SensorInput]:
        """See FrameSource."""
        return self.data.meta.sensors

    def present(self, sensor: str) -> NDArray[np.bool_]:
        """See FrameSource."""
        return self.data.present[sensor][self.rows]

    def images(self, sensor: str, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        """See FrameSource."""
        return np.asarray(self.data.images[sensor][self.rows[rows]])

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See FrameSource."""
        return np.asarray(self.data.labels[self.rows[rows]])
