"""The peaks of correlation surfaces: their position between samples, and how far they exceed the second best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.phase_correlation import Surface, center_window

_PEAK_RADIUS = 3
"""Points within this many samples belong to a peak; the second best match is further away."""
_CROSS = np.array([[0, -1, 0, 1, 0], [0, 0, -1, 0, 1]])
"""y and x of a peak and its neighbours: itself, the two before it, the two after it."""


@dataclass(frozen=True)
class Peaks:
    """The highest points of surfaces: displacement (n, 2) y, x in samples, height (n,), reliability (n,) 0 to 100."""

    displacement: NDArray[np.float64]
    height: NDArray[np.float64]
    reliability: NDArray[np.float64]


def find_peaks(surface: Surface, reach: int) -> Peaks:
    """Find the highest point of each surface and how far it exceeds the second best.

    Reliability is 100 - second_best / best * 100, at least 0. AROSICS compares with the mean and two standard
    deviations of the surface instead, which the best of many random points passes too.

    Args:
        surface: (n, h, w).
        reach: samples from zero displacement within which peaks are searched.
    """
    displacement, height = find_maxima(center_window(surface, reach + 1))
    rest = center_window(surface, reach).copy()
    for tile, (y, x) in zip(rest, (np.rint(displacement).astype(int) + reach).tolist(), strict=True):
        tile[max(0, y - _PEAK_RADIUS) : y + _PEAK_RADIUS + 1, max(0, x - _PEAK_RADIUS) : x + _PEAK_RADIUS + 1] = 0
    share = np.divide(rest.max((1, 2)), height, out=np.ones(len(height)), where=height > 0)
    return Peaks(displacement, height, np.minimum(np.maximum(100 - 100 * share, 0), 100))


def find_maxima(windows: Surface) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the highest point of each window, its border excluded.

    The position between samples comes from a parabola through the logarithm of the peak and its neighbours. It is
    exact for the Gaussian that the weight of the band makes of a peak.

    Args:
        windows: (n, m, m).

    Returns:
        Displacement (n, 2) from the middle in samples, and height (n,).
    """
    n, side = windows.shape[:2]
    best = windows[:, 1:-1, 1:-1].reshape(n, -1).argmax(1)
    place = np.stack(np.divmod(best, side - 2), 1)
    k, y, x = np.arange(n)[:, None], place[:, :1] + 1, place[:, 1:] + 1
    cross = windows[k, y + _CROSS[0], x + _CROSS[1]].astype(np.float64)
    offset = gaussian_offset(cross[:, 1:3], cross[:, :1], cross[:, 3:])
    return place - (side // 2 - 1) + offset, cross[:, 0]


def gaussian_offset(before: NDArray, peak: NDArray, after: NDArray) -> NDArray[np.float64]:
    """Return the offset in [-0.5, 0.5] of a Gaussian's maximum from three samples; 0 if they are not a Gaussian."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = np.log(before), np.log(peak), np.log(after)
        offset = 0.5 * (a - c) / (a - 2 * b + c)
    return np.where(np.isfinite(offset), np.minimum(np.maximum(offset, -0.5), 0.5), 0.0)
