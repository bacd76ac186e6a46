"""Register a sensor's image to the reference's: from correlation surfaces to shift, scale, rotation and certainty."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.corners import image_corners, largest_length
from sensorproof.alignment.registration.displacement_field import MIN_TILES, Field, fit_field
from sensorproof.alignment.registration.edges import Edges
from sensorproof.alignment.registration.hough_vote import fit_vote, local_window, vote_locally, vote_widely
from sensorproof.alignment.registration.peaks import Peaks, find_maxima, find_peaks
from sensorproof.alignment.registration.phase_correlation import (
    Grid,
    Spectra,
    Surface,
    center_window,
    correlate,
    moves_inside,
    sensor_spectra,
    windows_around,
)
from sensorproof.settings import ContentChecks

_TILE_REACH = 6
"""Largest difference between a tile's displacement and the frame's, in samples."""
_CUT_AGAIN = 0.04
"""Displacement, as a share of the tile's side, from which the tiles are cut again at the displaced position."""
_TILE_HEIGHT = 0.5
"""A tile's peak must reach this share of the frame's."""
_REFINEMENT = 1
"""The fraction of the frame's displacement is searched within this many samples."""
SIGNIFICANT = 5.0
"""Standard errors from which a difference is significant: by chance, none of a thousand fault-free frames shows it."""
_CERTAIN = 1.75
"""Certainty from which scale and rotation are reported; see `Registration.certainty`."""


@dataclass(frozen=True)
class Registration:
    """The registration of one pair of images; lengths are in pixels of the coarser image."""

    match: float
    """Height of the peak over all tiles together: 1 for equal content, 0 for nothing in common."""
    reliability: float
    """Of that peak, 0 to 100; see `find_peaks`."""
    coverage: float
    """Share of tiles that are reliable by themselves."""
    certainty: float
    """Lead of the best field over the best one that differs critically, in standard deviations of chance."""
    shift: NDArray[np.float64] | None
    """(2,) y and x of the whole frame; None if the pair is unmeasurable."""
    field: Field | None
    """Field with scale and rotation; None if they are not certain."""
    vectors: NDArray[np.float64]
    """(n, 2) displacement of each tile, NaN if the tile is not reliable."""
    size: tuple[float, float]
    """Height and width of the images, in pixels."""

    @property
    def corner_px(self) -> float:
        """Largest displacement of a corner; length of the shift without a field; NaN if unmeasurable."""
        if self.shift is None:
            return np.nan
        if self.field is None:
            return float(np.hypot(*self.shift))
        return largest_length(self.field.at(image_corners(self.size)))

    @property
    def corner_error_px(self) -> float:
        """Largest standard error of the displacement of a corner; NaN without a field."""
        return np.nan if self.field is None else float(self.field.error_at(image_corners(self.size)).max())

    def scaled(self, factor: float) -> "Registration":
        """Return the same registration in a unit of which a pixel has `factor`."""
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
    """Register one frame.

    Args:
        reference: spectra of the reference's tiles.
        sensor: spectra of the sensor's tiles.
        edges: the sensor's, for tiles that are cut again.
        grid: the tiles.
        settings: limits of reliability and size.

    Returns:
        The registration, and the correlation surfaces (n, h, w), which can be summed over frames.
    """
    surface = correlate(reference, sensor)
    whole, agreed = _find_displacement(surface, grid, settings)
    moves = np.zeros((len(surface), 2), np.int64)
    tiles = surface
    displacement = whole.displacement[0]
    if whole.reliability[0] >= settings.reliability and np.abs(displacement).max() >= _CUT_AGAIN * min(grid.tile):
        moves = moves_inside(grid, tuple(displacement))
        tiles = correlate(reference, sensor_spectra(edges, grid, moves))
    return _summarize(tiles, moves, whole, agreed, grid, settings), surface


def register_pool(surface: Surface, grid: Grid, settings: ContentChecks) -> Registration:
    """Register many frames at once by the mean of their surfaces.

    Args:
        surface: (n, h, w) mean over the frames.
        grid: the tiles.
        settings: limits of reliability, coverage and size.

    Returns:
        A registration with an affine field if enough tiles are reliable and its corners are exact enough.
    """
    whole, agreed = _find_displacement(surface, grid, settings)
    similarity = _summarize(surface, np.zeros((len(surface), 2), np.int64), whole, agreed, grid, settings)
    reliable = np.isfinite(similarity.vectors).all(1)
    few = reliable.sum() < MIN_TILES["affine"] or similarity.coverage < settings.min_coverage
    if similarity.shift is None or few:
        return similarity
    weights = np.ones(int(reliable.sum()))
    field = fit_field(grid.centers[reliable] * grid.step, similarity.vectors[reliable], weights, "affine")
    affine = replace(similarity, field=field)
    return affine if SIGNIFICANT * affine.corner_error_px <= settings.critical_px - settings.margin_px else similarity


def _find_displacement(surface: Surface, grid: Grid, settings: ContentChecks) -> tuple[Peaks, bool]:
    """Find the displacement that all tiles vote for.

    Returns:
        One peak, and whether all tiles agree on one shift; if not, they agree on a similarity at most.
    """
    shift = find_peaks(center_window(surface, grid.reach + 1).mean(0, keepdims=True), grid.reach)
    if shift.reliability[0] >= settings.reliability:
        return shift, True
    return vote_widely(surface, grid), False


def _summarize(
    surface: Surface, moves: NDArray[np.int64], whole: Peaks, agreed: bool, grid: Grid, settings: ContentChecks
) -> Registration:
    """Derive shift, tile vectors and field from the surfaces near the frame's displacement.

    Args:
        surface: (n, h, w) of the tiles as they were cut.
        moves: (n, 2) by which the tiles were moved.
        whole: the frame's displacement before the tiles were moved; see `_find_displacement`.
        agreed: see `_find_displacement`.
        grid: the tiles.
        settings: limits of reliability and size.
    """
    n = len(surface)
    size = (grid.image[0] * float(grid.step), grid.image[1] * float(grid.step))
    vectors = np.full((n, 2), np.nan)
    match, reliability = float(whole.height[0]), float(whole.reliability[0])
    if reliability < settings.reliability:
        return Registration(match, reliability, 0.0, 0.0, None, None, vectors, size)
    # Tiles at the border may have moved less than the others. Each window is centred on the frame's displacement.
    middle = np.round(whole.displacement[0]).astype(int)
    reach = min(_TILE_REACH, grid.reach)
    # In a small image, whose tiles lie on one another, the vote needs less than the search for the tiles' own peaks.
    windows = windows_around(surface, middle - moves, max(local_window(grid), reach + 1))
    critical = (settings.critical_px - settings.margin_px) / grid.step
    vote = vote_locally(windows, grid, critical)
    chance = float(np.linalg.norm(surface)) / np.sqrt(n * surface.size)
    certainty = (vote.score - vote.second_best) / (np.sqrt(2) * chance) if chance > 0 else 0.0
    field = fit_vote(windows, grid, vote).scaled(grid.step)
    field = replace(field, shift=field.shift + middle * grid.step)
    peaks = find_peaks(windows, reach)
    reliable = (peaks.reliability >= settings.reliability) & (peaks.height >= _TILE_HEIGHT * vote.score)
    vectors[reliable] = (peaks.displacement + middle)[reliable] * grid.step
    displacement = whole.displacement[0]
    if moves.any() or not agreed:
        displacement = find_maxima(center_window(windows, _REFINEMENT + 1).mean(0, keepdims=True))[0][0] + middle
    coverage = float(reliable.mean())
    if certainty >= _CERTAIN:
        is_shift = vote.scale == 0 and vote.rotation == 0
        shift = displacement * grid.step if is_shift else field.shift
        return Registration(match, reliability, coverage, certainty, shift, field, vectors, size)
    # Tiles that agree neither on a shift nor with certainty on a similarity agree on nothing.
    return Registration(
        match, reliability, coverage, certainty, displacement * grid.step if agreed else None, None, vectors, size
    )
