"""Mean and standard deviation of the channels of a sensor over the valid pixels of many frames."""

import numpy as np
from numpy.typing import NDArray

_LEAST_VARIANCE = 1e-10
"""In shares of the range; a channel with less is constant."""


def sum_up(pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return number, sum and sum of squares (3, C) of the valid pixels of an image (C, H, W)."""
    valid = np.isfinite(pixels)
    values = np.where(valid, pixels, 0).astype(np.float64)
    return np.stack([valid.sum((1, 2)), values.sum((1, 2)), (values**2).sum((1, 2))])


class ChannelStatistics:
    """Mean and standard deviation of each channel over valid pixels, one frame at a time.

    scikit-learn's StandardScaler.partial_fit sums in another order: the last digit of mean and std would differ.
    """

    def __init__(self, channels: int) -> None:
        self.count, self.total, self.squares = (np.zeros(channels) for _ in range(3))

    def add(self, sums: NDArray[np.float64]) -> None:
        """Count the pixels of one image by their number, sum and sum of squares (3, C)."""
        self.count += sums[0]
        self.total += sums[1]
        self.squares += sums[2]

    @property
    def mean(self) -> NDArray[np.float64]:
        """(C,) means; 0 for a channel that is never valid."""
        return np.asarray(self.total / np.maximum(self.count, 1))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """(C,) which channels are constant or never valid."""
        return np.asarray(~(self._variance > _LEAST_VARIANCE))

    @property
    def std(self) -> NDArray[np.float64]:
        """(C,) standard deviations; 1 for a channel that is constant or never valid, so that it can be divided by."""
        return np.where(self.constant, 1.0, np.sqrt(np.maximum(self._variance, 0)))

    @property
    def _variance(self) -> NDArray[np.float64]:
        return np.asarray(self.squares / np.maximum(self.count, 1) - self.mean**2)
