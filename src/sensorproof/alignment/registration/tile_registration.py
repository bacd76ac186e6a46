"""One sensor's image registered to the reference's: from surfaces to shift, scale, rotation and corner residual."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.displacement_field import TILES, Field, corners_of, fit_field
from sensorproof.alignment.registration.edges import Edges
from sensorproof.alignment.registration.hough_vote import fit_vote, half_side, vote_near, vote_wide
from sensorproof.alignment.registration.peaks import Peaks, find_peaks, find_tops
from sensorproof.alignment.registration.phase_correlation import (
    Grid,
    Spectra,
    Surface,
    around,
    inner,
    moves_inside,
    spectra,
    surfaces,
)
from sensorproof.settings import ContentChecks

_LOCAL = 6
"""Largest difference between a tile's displacement and the whole frame's, samples."""
_RECUT = 0.04
"""Displacement, as a share of the tile's side, from which the tiles are cut again at the place found."""
_TILE_HEIGHT = 0.5
"""A tile's peak must reach this share of the whole frame's."""
NEAREST = 1
"""Samples around the whole displacement in which its fraction is sought."""
SURE = 5.0
"""Standard errors that make a difference sure: by chance, none of a thousand sound frames shows it."""
_CERTAIN = 1.75
"""Standard deviations of chance by which a field must beat every other that differs critically from it."""


@dataclass(frozen=True)
class Registration:
    """Lengths are pixels of the images that were registered (the coarser of the two)."""

    match: float
    """Height of the peak over all tiles together: 1 for equal content, 0 for none in common."""
    reliability: float
    """Of that peak; 0 to 100."""
    coverage: float
    """Share of tiles that are reliable by themselves."""
    certainty: float
    """Of the field, in standard deviations of chance; see CERTAIN."""
    shift: NDArray[np.float64] | None
    """(2,) of the whole frame, y and x; None where the pair is unmeasurable."""
    field: Field | None
    """With scale and rotation; None where they are not certain."""
    vectors: NDArray[np.float64]
    """(n, 2) displacement of each tile, NaN where it is not reliable."""
    size: tuple[float, float]
    """Height and width of the images, pixels."""

    @property
    def corner_px(self) -> float:
        """Largest displacement at any corner; the shift alone where there is no field."""
        if self.shift is None:
            return np.nan
        if self.field is None:
            return float(np.hypot(*self.shift))
        return float(np.hypot(*self.field.at(corners_of(self.size)).T).max())

    @property
    def corner_error_px(self) -> float:
        """Standard error of the displacement at the corners, NaN without a field."""
        return np.nan if self.field is None else float(self.field.error_at(corners_of(self.size)).max())

    def scaled(self, factor: float) -> "Registration":
        """The same with lengths in units of which a pixel has `factor`."""
        return replace(
            self,
            shift=None if self.shift is None else self.shift * factor,
            field=None if self.field is None else self.field.scaled(factor),
            vectors=self.vectors * factor,
            size=(self.size[0] * factor, self.size[1] * factor),
        )


def register(
    reference: Spectra, sensor: Spectra, edges: Edges, grid: Grid, settings: ContentChecks
) -> tuple[Registration, Surface]:
    """Register one frame. Also returns the surfaces (n, h, w), which add up over frames.

    Args:
        reference, sensor: templates and spectra of the two images' tiles.
        edges: the sensor's, for tiles that are cut again.
    """
    surface = surfaces(reference, sensor)
    whole, agreed = _find_whole(surface, grid, settings)
    moves = np.zeros((len(surface), 2), np.int64)
    tiles = surface
    if whole.reliability[0] >= settings.reliability and np.abs(whole.displacement[0]).max() >= _RECUT * min(grid.tile):
        moves = moves_inside(grid, tuple(whole.displacement[0]))
        tiles = surfaces(reference, spectra(edges, grid, moves))
    return summarize(tiles, moves, whole, agreed, grid, settings), surface


def register_pool(surface: Surface, grid: Grid, settings: ContentChecks) -> Registration:
    """Register many frames at once, by their surfaces' mean: a full affine field where enough tiles are reliable."""
    whole, agreed = _find_whole(surface, grid, settings)
    found = summarize(surface, np.zeros((len(surface), 2), np.int64), whole, agreed, grid, settings)
    good = np.isfinite(found.vectors).all(1)
    if found.shift is None or good.sum() < TILES["affine"] or found.coverage < settings.min_coverage:
        return found
    weights = np.ones(int(good.sum()))
    affine = replace(found, field=fit_field(grid.centers[good] * grid.step, found.vectors[good], weights, "affine"))
    return affine if SURE * affine.corner_error_px <= settings.critical_px - settings.margin_px else found


def _find_whole(surface: Surface, grid: Grid, settings: ContentChecks) -> tuple[Peaks, bool]:
    """The displacement that all tiles (n, h, w) vote for, and whether they agree on one: else it is a similarity's."""
    alike = find_peaks(inner(surface, grid.reach + 1).mean(0, keepdims=True), grid.reach)
    if alike.reliability[0] >= settings.reliability:
        return alike, True
    return vote_wide(surface, grid), False


def summarize(
    surface: Surface, moves: NDArray[np.int64], whole: Peaks, agreed: bool, grid: Grid, settings: ContentChecks
) -> Registration:
    """Shift, tile vectors and field near the whole frame's displacement.

    Args:
        surface: (n, h, w) of the tiles as cut.
        moves: (n, 2) by which they were moved.
        whole, agreed: see find_whole; before the tiles were moved.
    """
    n = len(surface)
    size = (grid.image[0] * float(grid.step), grid.image[1] * float(grid.step))
    vectors = np.full((n, 2), np.nan)
    match, reliability = float(whole.height[0]), float(whole.reliability[0])
    if reliability < settings.reliability:
        return Registration(match, reliability, 0.0, 0.0, None, None, vectors, size)
    # Tiles at the border may have moved less than the others: each is sought where the whole displacement leaves it.
    middle = np.round(whole.displacement[0]).astype(int)
    aligned = around(surface, middle - moves, half_side(grid))
    critical = (settings.critical_px - settings.margin_px) / grid.step
    vote = vote_near(aligned, grid, critical)
    chance = float(np.linalg.norm(surface)) / np.sqrt(n * surface.size)
    certainty = (vote.score - vote.rival) / (np.sqrt(2) * chance) if chance > 0 else 0.0
    fitted = fit_vote(aligned, grid, vote).scaled(grid.step)
    fitted = replace(fitted, shift=fitted.shift + middle * grid.step)
    peaks = find_peaks(aligned, min(_LOCAL, grid.reach))
    good = (peaks.reliability >= settings.reliability) & (peaks.height >= _TILE_HEIGHT * vote.score)
    vectors[good] = (peaks.displacement + middle)[good] * grid.step
    together = whole.displacement[0]
    if moves.any() or not agreed:
        together = find_tops(inner(aligned, NEAREST + 1).mean(0, keepdims=True))[0][0] + middle
    coverage = float(good.mean())
    if certainty >= _CERTAIN:
        turned = vote.scale or vote.turn
        shift = fitted.shift if turned else together * grid.step
        return Registration(match, reliability, coverage, certainty, shift, fitted, vectors, size)
    # Tiles that agree on no shift, nor surely on a similarity, agree on nothing.
    shift = together * grid.step if agreed else None
    return Registration(match, reliability, coverage, certainty, shift, None, vectors, size)
