"""Procedural texture: band-limited noise at any 3-D point, so that a surface keeps its looks from frame to frame."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_CELLS = 64
_FEATURE_CELLS = 4


@lru_cache(maxsize=1)
def _volume() -> Floats:
    """A periodic CELLS³ cube of smooth noise, zero mean, unit standard deviation; the same in every process."""
    white = np.random.default_rng(20250301).standard_normal((_CELLS,) * 3)
    frequency = np.fft.fftfreq(_CELLS)
    squared = frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + frequency[None, None, :] ** 2
    smooth = np.fft.ifftn(np.fft.fftn(white) * np.exp(-squared * (_FEATURE_CELLS * 1.7) ** 2)).real
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def noise(points: Floats, size: float, seed: int = 0) -> Floats:
    """Noise in about -2 to 2 at points (..., 3), with features of about `size` metres; seed shifts the pattern."""
    shift = np.array([seed * 7 % 61, seed * 13 % 53, seed * 29 % 59])
    cells = np.floor(points * (_FEATURE_CELLS / size)).astype(np.int64) + shift
    x, y, z = np.moveaxis(cells & (_CELLS - 1), -1, 0)
    return np.clip(_volume()[x, y, z], -2, 2)


def visible_noise(points: Floats, size: float, footprint: Floats, seed: int = 0) -> Floats:
    """`noise`, fading where a pixel covers more than the feature (footprint (...) in metres), as real optics do."""
    return noise(points, size, seed) * np.clip(1.5 - footprint / size, 0, 1)


def chance(cells: NDArray[np.int64], seed: int = 0) -> Floats:
    """A number in [0, 1) for each row of integer cells (..., k): a hash, always the same for the same cell."""
    state = np.full(cells.shape[:-1], (seed * 0x9E3779B9 + 1) & 0xFFFFFFFF, np.uint64)
    for k in range(cells.shape[-1]):
        state = (state ^ cells[..., k].astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9)
        state ^= state >> np.uint64(29)
    return ((state >> np.uint64(40)) / np.float64(2**24)).astype(np.float32)
