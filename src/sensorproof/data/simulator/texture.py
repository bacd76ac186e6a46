"""Procedural texture: band-limited noise at any 3-D point, so that a surface looks the same in every frame."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.simulator.array_types import Floats

_CELLS = 64
"""Cells along each side of the volume of noise."""
_FEATURE_CELLS = 4
"""Cells to which a feature extends."""


@lru_cache(maxsize=1)
def _volume() -> Floats:
    """Return a periodic cube of smooth noise (64, 64, 64), zero mean, unit variance; the same in every process."""
    white = np.random.default_rng(20250301).standard_normal((_CELLS,) * 3)
    frequency = np.fft.fftfreq(_CELLS)
    squared = frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + frequency[None, None, :] ** 2
    smooth = np.fft.ifftn(np.fft.fftn(white) * np.exp(-squared * (_FEATURE_CELLS * 1.7) ** 2)).real
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def noise(points: Floats, size: float, seed: int = 0) -> Floats:
    """Return noise at points in space.

    Args:
        points: (..., 3), metres.
        size: of the features, metres.
        seed: shifts the pattern.

    Returns:
        (...), -2 to 2, about standard normal.
    """
    shift = np.array([seed * 7 % 61, seed * 13 % 53, seed * 29 % 59])
    cells = np.floor(points * (_FEATURE_CELLS / size)).astype(np.int64) + shift
    x, y, z = np.moveaxis(cells & (_CELLS - 1), -1, 0)
    return np.clip(_volume()[x, y, z], -2, 2)


def visible_noise(points: Floats, size: float, footprint: Floats, seed: int = 0) -> Floats:
    """Return `noise` that fades where a pixel covers more than a feature, as in real optics.

    Args:
        points: (..., 3), metres.
        size: of the features, metres.
        footprint: (...), the size of a pixel on the surface, metres.
        seed: shifts the pattern.
    """
    return noise(points, size, seed) * np.clip(1.5 - footprint / size, 0, 1)


def chance(cells: NDArray[np.int64], seed: int = 0) -> Floats:
    """Return a number in [0, 1) for each cell; it is a hash, so the same cell always has the same number.

    Args:
        cells: (..., k) integers.
        seed: other seeds give other numbers.
    """
    state = np.full(cells.shape[:-1], (seed * 0x9E3779B9 + 1) & 0xFFFFFFFF, np.uint64)
    for k in range(cells.shape[-1]):
        state = (state ^ cells[..., k].astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(29)
    return ((state >> np.uint64(40)) / np.float64(2**24)).astype(np.float32)
