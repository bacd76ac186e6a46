"""One sensor's image registered to the reference's: from surfaces to shift, scale, rotation and corner residual."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.affine import Field, fit_field
from sensorproof.alignment.content import (
    Grid,
    Image,
    Spectra,
    View,
    find_peaks,
    moves_inside,
    spectra,
    surfaces,
)
from sensorproof.settings import ContentChecks

LOCAL = 6
"""Largest difference between a tile's displacement and the whole frame's, samples."""
RECUT = 1.5
"""Samples of displacement from which the tiles are cut again at the place found."""


@dataclass(frozen=True)
class Registration:
    """Lengths are pixels of the images that were registered (the coarser of the two)."""

    match: float
    """Height of the peak over all tiles together: 1 for equal content, 0 for none in common."""
    reliability: float
    """Of that peak; 0 to 100."""
    coverage: float
    """Share of tiles that are reliable by themselves."""
    field: Field | None
    """None where the pair is unmeasurable."""
    vectors: NDArray[np.float64]
    """(n, 2) displacement of each tile, NaN where it is not reliable."""
    size: tuple[float, float]
    """Height and width of the images, pixels."""

    @property
    def corner_px(self) -> float:
        """Largest displacement at any corner."""
        return np.nan if self.field is None else float(np.hypot(*self.field.corners(self.size).T).max())


def register(
    reference: Spectra, sensor: Spectra, view: View, grid: Grid, settings: ContentChecks
) -> tuple[Registration, Image]:
    """Register one frame. Also returns the surfaces (n, h, w), which add up over frames.

    Args:
        reference, sensor: whitened spectra of the two images' tiles.
        view: the sensor's image, for tiles that are cut again.
    """
    surface = surfaces(reference, sensor, grid.tile)
    whole = find_peaks(surface.mean(0, keepdims=True), (0, 0), grid.reach)
    moves = np.zeros((len(surface), 2), np.int64)
    tiles = surface
    if whole.reliability[0] >= settings.reliability and np.abs(whole.displacement[0]).max() >= RECUT:
        moves = moves_inside(grid, tuple(whole.displacement[0]))
        tiles = surfaces(reference, spectra(view, grid, moves), grid.tile)
        center = whole.displacement[0] - np.median(moves, axis=0)
    else:
        center = whole.displacement[0]
    return summarize(tiles, moves, center, whole.height[0], whole.reliability[0], grid, settings), surface


def register_pool(surface: Image, grid: Grid, settings: ContentChecks) -> Registration:
    """Register many frames at once, by their surfaces' mean."""
    whole = find_peaks(surface.mean(0, keepdims=True), (0, 0), grid.reach)
    moves = np.zeros((len(surface), 2), np.int64)
    return summarize(surface, moves, whole.displacement[0], whole.height[0], whole.reliability[0], grid, settings)


def summarize(
    surface: Image,
    moves: NDArray[np.int64],
    center: NDArray[np.float64],
    match: float,
    reliability: float,
    grid: Grid,
    settings: ContentChecks,
) -> Registration:
    """Tile vectors near the whole frame's displacement, and the field through the reliable ones.

    Where too few tiles are reliable by themselves the whole frame's peak still gives the shift.
    """
    n = len(surface)
    size = (grid.image[0] * float(grid.step), grid.image[1] * float(grid.step))
    vectors = np.full((n, 2), np.nan)
    if reliability < settings.reliability:
        return Registration(float(match), float(reliability), 0.0, None, vectors, size)
    whole = find_peaks(surface.mean(0, keepdims=True), (round(center[0]), round(center[1])), 2)
    middle = whole.displacement[0]
    peaks = find_peaks(surface, (round(middle[0]), round(middle[1])), min(LOCAL, grid.reach))
    good = peaks.reliability >= settings.reliability - LOCAL_RELIEF
    vectors[good] = (peaks.displacement + moves)[good] * grid.step
    coverage = float(good.mean())
    if good.sum() >= 3 and coverage >= settings.min_coverage:
        weights = peaks.reliability[good]
        field = fit_field(grid.centers[good] * grid.step, vectors[good], weights)
    else:
        shift = (middle + np.median(moves, axis=0)) * grid.step
        field = Field(shift, np.zeros((2, 2)), int(good.sum()))
    return Registration(float(match), float(reliability), coverage, field, vectors, size)


LOCAL_RELIEF = 10.0
"""A tile is sought in a small neighbourhood, where chance makes lower peaks than in the whole surface."""
