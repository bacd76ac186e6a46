"""Shift, scale and rotation by the vote of all tiles together: no tile needs to be reliable by itself.

A generalised Hough transform: every hypothesis says where each tile's peak must be, and scores the mean height of
the tiles' correlation surfaces there.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.affine import Field, corners_of, solve
from sensorproof.alignment.content import Grid, Peaks, Surface, find_peaks

LARGEST = 8
"""Samples at a corner that scale, and that rotation, may amount to."""
NEAR = 2
"""Samples around a known shift in which shifts are tried, at every half of one."""
FINE = 2
"""Steps to a sample there."""
AGREES = 1.5
"""Samples from the vote within which a tile's own peak counts for the fit."""


@dataclass(frozen=True)
class Vote:
    """The best hypothesis, in samples: a shift, and scale s and turn r, which move (y, x) by (s y + r x, s x - r y)."""

    shift: NDArray[np.float64]
    scale: float
    turn: float
    score: float
    rival: float
    """The best score of a hypothesis that clearly differs from it."""

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) displacements at (n, 2) points."""
        return self.shift + moves(points, np.array([[self.scale, self.turn]]))[0]


def moves(points: NDArray[np.float64], pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(h, n, 2) displacements of (n, 2) points by (h, 2) pairs of scale and turn."""
    y, x = points.T
    s, r = pairs[:, :1], pairs[:, 1:]
    return np.stack([s * y + r * x, s * x - r * y], -1)


@lru_cache(maxsize=16)
def hypotheses(grid: Grid, step: int) -> NDArray[np.float64]:
    """(h, 2) pairs of scale and turn that move the corners by whole multiples of step, up to LARGEST samples."""
    along = np.arange(-LARGEST, LARGEST + 1, step) / (np.hypot(*grid.image) / 2)
    return np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)


@lru_cache(maxsize=16)
def places(grid: Grid, step: int, window: int, fine: int) -> tuple[NDArray[np.intp], int]:
    """Where each hypothesis looks: (h, n, k * k) indices into flattened neighbourhoods, and their half side."""
    wanted = moves(grid.centers, hypotheses(grid, step))
    half = int(np.ceil(np.abs(wanted).max())) + window + 1
    side = 2 * half * fine + 1
    around = np.arange(-window * fine, window * fine + 1)
    center = np.round(wanted * fine).astype(np.intp) + half * fine
    y = center[..., 0, None, None] + around[:, None]
    x = center[..., 1, None, None] + around
    tile = np.arange(len(grid.tops))[:, None, None] * side * side
    return (tile + y * side + x).reshape(*wanted.shape[:2], -1), half


def neighbourhood(surface: Surface, half: int, fine: int) -> Surface:
    """(n, m, m) of surfaces (n, h, w) around zero displacement, `fine` steps to a sample."""
    around = np.arange(-half, half + 1)
    near = surface[:, around[:, None] % surface.shape[1], around % surface.shape[2]]
    if fine == 1:
        return near
    side = 2 * half * fine + 1
    zoom = np.array([[fine, 0, 0], [0, fine, 0]], float)
    return np.stack([cv2.warpAffine(tile, zoom, (side, side), flags=cv2.INTER_CUBIC) for tile in near])


def scores(surface: Surface, grid: Grid, step: int, window: int, fine: int) -> Surface:
    """(h, k, k) score of every hypothesis at every shift within `window` samples of zero."""
    index, half = places(grid, step, window, fine)
    side = 2 * window * fine + 1
    found = neighbourhood(surface, half, fine).ravel()[index].mean(1)
    return np.asarray(found.reshape(-1, side, side))


def vote_near(surface: Surface, grid: Grid, apart: float) -> Vote:
    """The best hypothesis around zero displacement of surfaces (n, h, w) that were moved there.

    Args:
        apart: samples at a corner by which a rival differs.
    """
    score = scores(surface, grid, 1, NEAR, FINE)
    pairs = hypotheses(grid, 1)
    h, i, j = np.unravel_index(score.argmax(), score.shape)
    along = np.arange(-NEAR * FINE, NEAR * FINE + 1) / FINE
    shift = np.array([along[i], along[j]])
    far = corner_gap(grid, pairs - pairs[h], np.stack(np.meshgrid(along, along, indexing="ij"), -1) - shift) >= apart
    rival = float(score[far].max()) if far.any() else 0.0
    return Vote(shift, float(pairs[h, 0]), float(pairs[h, 1]), float(score[h, i, j]), rival)


def corner_gap(grid: Grid, pairs: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(h, k, k) largest displacement of a corner by (h, 2) pairs of scale and turn and (k, k, 2) shifts, samples."""
    # Corners across the image move by opposite amounts before the shift: two of them stand for four, with both signs.
    turned = moves(corners_of((float(grid.image[0]), float(grid.image[1])))[:2], pairs)
    shifted = shifts.reshape(-1, 2)
    square = (turned**2).sum(-1)[..., None] + (shifted**2).sum(-1)
    largest = (square + 2 * np.abs(turned @ shifted.T)).max(1)
    return np.sqrt(largest).reshape(len(pairs), *shifts.shape[:2])


def vote_wide(surface: Surface, grid: Grid) -> Peaks:
    """The shift that tiles agree on once they may differ by scale and rotation; reliability as in find_peaks."""
    score = scores(surface, grid, 2, grid.reach, 1).max(0)
    return find_peaks(np.roll(np.pad(score, 1), (-grid.reach - 1, -grid.reach - 1), (0, 1))[None], (0, 0), grid.reach)


def fit_vote(surface: Surface, grid: Grid, vote: Vote) -> Field:
    """The field through the tiles' own peaks near what they voted for, the higher the more they count; samples."""
    expected = vote.at(grid.centers)
    whole = np.round(expected).astype(int)
    moved = np.stack([np.roll(t, (-y, -x), (0, 1)) for t, (y, x) in zip(surface, whole, strict=True)])
    peaks = find_peaks(moved, (0, 0), 2)
    vectors = peaks.displacement + whole
    agree = np.hypot(*(vectors - expected).T) <= AGREES
    weights = np.where(agree, np.maximum(peaks.height, 0) ** 2, 0)
    if (weights > 0).sum() < 4:
        unknowns = np.array([*vote.shift, vote.scale, vote.turn])
        matrix = np.array([[vote.scale, vote.turn], [-vote.turn, vote.scale]])
        return Field(unknowns[:2], matrix, np.full((4, 4), np.nan), "similarity", int(agree.sum()))
    return solve(grid.centers[weights > 0], vectors[weights > 0], weights[weights > 0], "similarity")
