"""Shift, scale and rotation by the vote of all tiles together: no tile needs to be reliable by itself.

A generalised Hough transform: every hypothesis says where each tile's peak must be, and scores the mean height of
the tiles' correlation surfaces there.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sensorproof.alignment.registration.displacement_field import Field, corners_of, solve
from sensorproof.alignment.registration.peaks import Peaks, find_peaks, find_tops
from sensorproof.alignment.registration.phase_correlation import Grid, Surface, around, inner

LARGEST = 8
"""Samples at a corner that scale, and that rotation, may amount to."""
NEAR = 2
"""Samples around a known shift in which shifts are tried, at every half of one."""
_FINE = 2
"""Steps to a sample there."""
_AGREES = 1.5
"""Samples from the vote within which a tile's own peak counts for the fit."""
_AROUND = 2
"""Samples from the vote within which a tile's own peak is looked for."""


@dataclass(frozen=True)
class _Vote:
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
def places(grid: Grid, step: int, window: int, fine: int) -> tuple[scipy.sparse.csr_matrix, int]:
    """Where each hypothesis looks: the (h * k * k, n * m * m) matrix that makes scores of the tiles' surroundings.

    Also returns the surroundings' half side in samples.
    """
    wanted = moves(grid.centers, hypotheses(grid, step))
    half = int(np.ceil(np.abs(wanted).max())) + window + 1
    side = 2 * half * fine + 1
    shifts = np.arange(-window * fine, window * fine + 1)
    center = np.round(wanted * fine).astype(np.intp) + half * fine
    y = center[..., 0, None, None] + shifts[:, None]
    x = center[..., 1, None, None] + shifts
    n = len(grid.tops)
    columns = np.arange(n)[:, None, None] * side**2 + y * side + x
    columns = columns.reshape(len(wanted), n, -1).swapaxes(1, 2).astype(np.int32).ravel()
    rows = np.arange(0, len(columns) + 1, n, dtype=np.int32)
    share = np.full(len(columns), 1 / n, np.float32)
    return scipy.sparse.csr_matrix((share, columns, rows), shape=(len(rows) - 1, n * side**2)), half


def half_side(grid: Grid) -> int:
    """Samples to each side of a known shift that vote_near and fit_vote look at."""
    return places(grid, 1, NEAR, _FINE)[1] + _AROUND


@lru_cache(maxsize=16)
def zoom(half: int, fine: int) -> NDArray[np.float32]:
    """(2 * half * fine + 1, 2 * half + 1) cubic interpolation of 2 * half + 1 samples, `fine` steps to a sample."""
    side = 2 * half + 1
    stretch = np.array([[1, 0, 0], [0, fine, 0]], float)
    size = (side, 2 * half * fine + 1)
    return np.asarray(cv2.warpAffine(np.eye(side, dtype=np.float32), stretch, size, flags=cv2.INTER_CUBIC), np.float32)


def scores(near: Surface, grid: Grid, step: int, window: int, fine: int) -> Surface:
    """(h, k, k) score of every hypothesis at every shift within `window` samples of the middle of (n, m, m)."""
    matrix, half = places(grid, step, window, fine)
    near = inner(near, half)
    tiles = near if fine == 1 else zoom(half, fine) @ near @ zoom(half, fine).T
    side = 2 * window * fine + 1
    return np.asarray(matrix @ tiles.ravel()).reshape(-1, side, side)


def vote_near(near: Surface, grid: Grid, apart: float) -> _Vote:
    """The best hypothesis around the middle of surfaces (n, m, m), which reach half_side around it.

    Args:
        apart: samples at a corner by which a rival differs.
    """
    score = scores(near, grid, 1, NEAR, _FINE)
    h, i, j = (int(k) for k in np.unravel_index(score.argmax(), score.shape))
    pair = hypotheses(grid, 1)[h]
    n, m = 2 * LARGEST + 1, score.shape[1]
    s, r = divmod(h, n)
    lattice = _clearly_apart(grid, apart)
    far = lattice[n - 1 - s : 2 * n - 1 - s, n - 1 - r : 2 * n - 1 - r, m - 1 - i : 2 * m - 1 - i, m - 1 - j :][..., :m]
    rival = float(np.where(far, score.reshape(n, n, m, m), -np.inf).max(initial=0))
    shift = np.array([i, j]) / _FINE - NEAR
    return _Vote(shift, float(pair[0]), float(pair[1]), float(score[h, i, j]), rival)


@lru_cache(maxsize=16)
def _clearly_apart(grid: Grid, apart: float) -> NDArray[np.bool_]:
    """Whether two hypotheses of vote_near differ by `apart` samples at a corner, by the steps between them.

    (2n - 1, 2n - 1, 2m - 1, 2m - 1) in scale, turn, y and x; no step lies in the middle.
    """
    pairs = 2 * LARGEST * 2 + 1
    along = np.linspace(-2 * LARGEST, 2 * LARGEST, pairs) / (np.hypot(*grid.image) / 2)
    shifts = np.arange(-2 * NEAR * _FINE, 2 * NEAR * _FINE + 1) / _FINE
    mesh = [np.stack(np.meshgrid(a, a, indexing="ij"), -1) for a in (along, shifts)]
    gap = corner_gap(grid, mesh[0].reshape(-1, 2), mesh[1])
    return gap.reshape(pairs, pairs, len(shifts), len(shifts)) >= apart


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
    half = places(grid, 2, grid.reach, 1)[1]
    score = scores(around(surface, np.zeros((len(surface), 2), np.int64), half), grid, 2, grid.reach, 1).max(0)
    return find_peaks(np.pad(score, 1)[None], grid.reach)


def fit_vote(near: Surface, grid: Grid, vote: _Vote) -> Field:
    """The field through the tiles' own peaks near what they voted for, the higher the more they count; samples.

    Args:
        near: (n, m, m), as for vote_near.
    """
    expected = vote.at(grid.centers)
    whole = np.round(expected).astype(int)
    displacement, height = find_tops(around(near, whole, _AROUND + 1))
    vectors = displacement + whole
    agree = np.hypot(*(vectors - expected).T) <= _AGREES
    weights = np.where(agree, np.maximum(height, 0) ** 2, 0)
    if (weights > 0).sum() < 4:
        unknowns = np.array([*vote.shift, vote.scale, vote.turn])
        matrix = np.array([[vote.scale, vote.turn], [-vote.turn, vote.scale]])
        return Field(unknowns[:2], matrix, np.full((4, 4), np.nan), "similarity", int(agree.sum()))
    return solve(grid.centers[weights > 0], vectors[weights > 0], weights[weights > 0], "similarity")
