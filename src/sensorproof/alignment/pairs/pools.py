"""Sums of correlation surfaces over many frames: what is the same in all of them stands out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorproof.alignment.registration.phase_correlation import Grid, Surface
from sensorproof.alignment.registration.tile_registration import Registration, register_pool
from sensorproof.settings import ContentChecks

_MAX_SIZES = 3
"""Image sizes of one pair that are kept: a single frame of another size must not represent the others."""
PairSize = tuple[Grid, float]
"""The tiles of a pair and the reference's pixels per sample: together, the sizes of both images."""


@dataclass
class Pool:
    """The sum of the correlation surfaces of frames of one size."""

    grid: Grid
    total: Surface
    frames: int
    pixels_per_sample: float

    def add(self, surface: Surface, frames: int = 1) -> None:
        """Add the sum of the surfaces of some frames."""
        self.total += surface
        self.frames += frames

    def register(self, settings: ContentChecks) -> Registration:
        """Register the frames together; lengths are in pixels of the reference."""
        return register_pool(self.total / np.float32(self.frames), self.grid, settings).scaled(self.pixels_per_sample)


class Pools:
    """A pool for each image size, three at most; the largest pool represents all frames."""

    def __init__(self) -> None:
        self.by_size: dict[PairSize, Pool] = {}

    def add(self, surface: Surface, size: PairSize, frames: int = 1) -> None:
        """Add the sum of the surfaces of some frames of one size."""
        if size not in self.by_size:
            drop_rarest_size(self.by_size, {known: pool.frames for known, pool in self.by_size.items()})
            self.by_size[size] = Pool(size[0], np.zeros_like(surface), 0, size[1])
        self.by_size[size].add(surface, frames)

    @property
    def largest(self) -> Pool | None:
        """The pool with the most frames; None if there is none."""
        return max(self.by_size.values(), key=lambda pool: pool.frames, default=None)


def drop_rarest_size(by_size: dict[PairSize, Any], frames: dict[PairSize, int]) -> None:
    """Remove the size with the fewest frames if no other size fits in.

    Args:
        by_size: what is kept for each size; changed in place.
        frames: number of frames of each size.
    """
    if len(by_size) == _MAX_SIZES:
        del by_size[min(frames, key=lambda size: frames[size])]
