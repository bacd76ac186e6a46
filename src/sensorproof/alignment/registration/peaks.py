"""The peaks of correlation surfaces: where between the samples they lie, and whether they have rivals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.phase_correlation import Surface, inner

_RIVAL = 3
"""A peak's rivals are further from it than this many samples."""
_CROSS = np.array([[0, -1, 0, 1, 0], [0, 0, -1, 0, 1]])
"""y and x of a peak and its neighbours: itself, the two before it, the two after it."""


@dataclass(frozen=True)
class Peaks:
    """The highest points of surfaces: displacement (n, 2) y, x in samples, height (n,), reliability (n,)."""

    displacement: NDArray[np.float64]
    height: NDArray[np.float64]
    reliability: NDArray[np.float64]


def find_peaks(surface: Surface, reach: int) -> Peaks:
    """Find the highest point of each surface (n, h, w) within `reach` samples of zero displacement, and its rivals.

    Reliability is 100 - rival / peak * 100, where the rival is the highest point within reach and further than RIVAL
    samples from the peak; never below 0. (AROSICS takes the surface's mean and two standard deviations for the rival:
    the best of many chance points passes that.)
    """
    displacement, height = find_tops(inner(surface, reach + 1))
    near = inner(surface, reach).copy()
    for tile, (y, x) in zip(near, (np.rint(displacement).astype(int) + reach).tolist(), strict=True):
        tile[max(0, y - _RIVAL) : y + _RIVAL + 1, max(0, x - _RIVAL) : x + _RIVAL + 1] = 0
    share = np.divide(near.max((1, 2)), height, out=np.ones(len(height)), where=height > 0)
    return Peaks(displacement, height, np.minimum(np.maximum(100 - 100 * share, 0), 100))


def find_tops(near: Surface) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Displacement (n, 2) from the middle and height (n,) of the highest point of each surface, but for its border.

    The position between samples comes from a parabola through the logarithm of the peak and its neighbours, which
    is exact for the Gaussian that the band weight makes of it.
    """
    n, side = near.shape[:2]
    best = near[:, 1:-1, 1:-1].reshape(n, -1).argmax(1)
    place = np.stack(np.divmod(best, side - 2), 1)
    k, y, x = np.arange(n)[:, None], place[:, :1] + 1, place[:, 1:] + 1
    cross = near[k, y + _CROSS[0], x + _CROSS[1]].astype(np.float64)
    offset = parabola(cross[:, 1:3], cross[:, :1], cross[:, 3:])
    return place - (side // 2 - 1) + offset, cross[:, 0]


def parabola(before: NDArray, peak: NDArray, after: NDArray) -> NDArray[np.float64]:
    """Offset in [-0.5, 0.5] of a Gaussian's top from three samples of it; 0 where they are no Gaussian."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c = np.log(before), np.log(peak), np.log(after)
        offset = 0.5 * (a - c) / (a - 2 * b + c)
    return np.where(np.isfinite(offset), np.minimum(np.maximum(offset, -0.5), 0.5), 0.0)
