"""Shift, scale and rotation by a joint vote of all tiles, none of which needs to be reliable by itself.

A generalised Hough transform (Ballard 1981): a hypothesis predicts the position of every tile's peak, and its score is
the mean height of the tiles' correlation surfaces at these positions.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from sensorproof.alignment.corners import image_corners
from sensorproof.alignment.registration.displacement_field import Field, solve
from sensorproof.alignment.registration.peaks import Peaks, find_maxima, find_peaks
from sensorproof.alignment.registration.phase_correlation import Grid, Surface, center_window, windows_around

_LARGEST = 8
"""Largest displacement of a corner by scale, and by rotation, in samples."""
_LOCAL_REACH = 2
"""Shifts up to this many samples from a known shift are tried."""
_STEPS = 2
"""Shifts that are tried per sample around a known shift."""
_AGREEMENT = 1.5
"""A tile's own peak counts for the fit within this many samples of the vote."""
_PEAK_REACH = 2
"""A tile's own peak is searched within this many samples of the vote."""


@dataclass(frozen=True)
class Vote:
    """The best hypothesis, in samples: a shift, and a similarity that moves (y, x) by (s y + r x, s x - r y)."""

    shift: NDArray[np.float64]
    """(2,) y and x."""
    scale: float
    """s."""
    rotation: float
    """r, in radians for small angles."""
    score: float
    second_best: float
    """The best score of a hypothesis that differs critically from it."""

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the displacements (n, 2) at points (n, 2)."""
        return self.shift + similarity_displacements(points, np.array([[self.scale, self.rotation]]))[0]


def similarity_displacements(points: NDArray[np.float64], similarities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the displacements (h, n, 2) of points (n, 2) by pairs (h, 2) of scale and rotation."""
    y, x = points.T
    s, r = similarities[:, :1], similarities[:, 1:]
    return np.stack([s * y + r * x, s * x - r * y], -1)


@lru_cache(maxsize=16)
def hypotheses(grid: Grid, step: int) -> NDArray[np.float64]:
    """Return the pairs (h, 2) of scale and rotation that move the corners by multiples of `step` samples."""
    along = np.arange(-_LARGEST, _LARGEST + 1, step) / (np.hypot(*grid.image) / 2)
    return np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)


@lru_cache(maxsize=16)
def _score_matrix(grid: Grid, step: int, reach: int, steps: int) -> tuple[scipy.sparse.csr_matrix, int]:
    """Return the sparse matrix that turns the tiles' windows into the scores of all hypotheses.

    Args:
        grid: the tiles.
        step: of the hypotheses, in samples at a corner.
        reach: shifts that are tried, in samples from the middle.
        steps: shifts per sample.

    Returns:
        The matrix (h * k * k, n * m * m), and the half side of the windows (m, m) in samples.
    """
    displacements = similarity_displacements(grid.centers, hypotheses(grid, step))
    half = int(np.ceil(np.abs(displacements).max())) + reach + 1
    side = 2 * half * steps + 1
    shifts = np.arange(-reach * steps, reach * steps + 1)
    center = np.round(displacements * steps).astype(np.intp) + half * steps
    y = center[..., 0, None, None] + shifts[:, None]
    x = center[..., 1, None, None] + shifts
    n = len(grid.tops)
    columns = np.arange(n)[:, None, None] * side**2 + y * side + x
    columns = columns.reshape(len(displacements), n, -1).swapaxes(1, 2).astype(np.int32).ravel()
    rows = np.arange(0, len(columns) + 1, n, dtype=np.int32)
    share = np.full(len(columns), 1 / n, np.float32)
    return scipy.sparse.csr_matrix((share, columns, rows), shape=(len(rows) - 1, n * side**2)), half


def local_window(grid: Grid) -> int:
    """Return the half side in samples of the windows that `vote_locally` and `fit_vote` need."""
    return _score_matrix(grid, 1, _LOCAL_REACH, _STEPS)[1] + _PEAK_REACH


@lru_cache(maxsize=16)
def _interpolation(half: int, steps: int) -> NDArray[np.float32]:
    """Return the matrix (2 * half * steps + 1, 2 * half + 1) of a cubic interpolation with `steps` per sample."""
    side = 2 * half + 1
    stretch = np.array([[1, 0, 0], [0, steps, 0]], float)
    size = (side, 2 * half * steps + 1)
    return np.asarray(cv2.warpAffine(np.eye(side, dtype=np.float32), stretch, size, flags=cv2.INTER_CUBIC), np.float32)


def _scores(windows: Surface, grid: Grid, step: int, reach: int, steps: int) -> Surface:
    """Return the score (h, k, k) of every hypothesis at every shift up to `reach` samples from the middle.

    Args:
        windows: (n, m, m) of the tiles' correlation surfaces.
        grid: the tiles.
        step: see `_score_matrix`.
        reach: see `_score_matrix`.
        steps: see `_score_matrix`.
    """
    matrix, half = _score_matrix(grid, step, reach, steps)
    windows = center_window(windows, half)
    tiles = windows if steps == 1 else _interpolation(half, steps) @ windows @ _interpolation(half, steps).T
    side = 2 * reach * steps + 1
    return np.asarray(matrix @ tiles.ravel()).reshape(-1, side, side)


def vote_locally(windows: Surface, grid: Grid, critical: float) -> Vote:
    """Find the best hypothesis around the middle of windows.

    Args:
        windows: (n, m, m) of the tiles' correlation surfaces, `local_window` samples to each side.
        grid: the tiles.
        critical: displacement of a corner, in samples, by which two hypotheses differ critically.
    """
    score = _scores(windows, grid, 1, _LOCAL_REACH, _STEPS)
    h, i, j = (int(k) for k in np.unravel_index(score.argmax(), score.shape))
    similarity = hypotheses(grid, 1)[h]
    n, m = 2 * _LARGEST + 1, score.shape[1]
    s, r = divmod(h, n)
    differs = _differs_critically(grid, critical)
    others = differs[n - 1 - s : 2 * n - 1 - s, n - 1 - r : 2 * n - 1 - r, m - 1 - i : 2 * m - 1 - i, m - 1 - j :]
    others = others[..., :m]
    second_best = float(np.where(others, score.reshape(n, n, m, m), -np.inf).max(initial=0))
    shift = np.array([i, j]) / _STEPS - _LOCAL_REACH
    return Vote(shift, float(similarity[0]), float(similarity[1]), float(score[h, i, j]), second_best)


@lru_cache(maxsize=16)
def _differs_critically(grid: Grid, critical: float) -> NDArray[np.bool_]:
    """Return whether two hypotheses of `vote_locally` differ by `critical` samples at a corner.

    Returns:
        (2n - 1, 2n - 1, 2m - 1, 2m - 1) by the steps between the two in scale, rotation, y and x; no step is in the
        middle.
    """
    steps = 2 * _LARGEST * 2 + 1
    along = np.linspace(-2 * _LARGEST, 2 * _LARGEST, steps) / (np.hypot(*grid.image) / 2)
    shifts = np.arange(-2 * _LOCAL_REACH * _STEPS, 2 * _LOCAL_REACH * _STEPS + 1) / _STEPS
    similarity_grid, shift_grid = (np.stack(np.meshgrid(a, a, indexing="ij"), -1) for a in (along, shifts))
    distance = corner_distance(grid, similarity_grid.reshape(-1, 2), shift_grid)
    return distance.reshape(steps, steps, len(shifts), len(shifts)) >= critical


def corner_distance(grid: Grid, similarities: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest displacement (h, k, k) of a corner in samples.

    Args:
        grid: its image has the corners.
        similarities: (h, 2) pairs of scale and rotation.
        shifts: (k, k, 2).
    """
    # A similarity moves opposite corners by opposite amounts. Two corners, with both signs, therefore stand for four.
    size = (float(grid.image[0]), float(grid.image[1]))
    moved = similarity_displacements(image_corners(size)[:2], similarities)
    shifted = shifts.reshape(-1, 2)
    square = (moved**2).sum(-1)[..., None] + (shifted**2).sum(-1)
    largest = (square + 2 * np.abs(moved @ shifted.T)).max(1)
    return np.sqrt(largest).reshape(len(similarities), *shifts.shape[:2])


def vote_widely(surface: Surface, grid: Grid) -> Peaks:
    """Find the shift that the tiles agree on if they may differ by scale and rotation.

    Args:
        surface: (n, h, w) of the tiles.
        grid: the tiles.

    Returns:
        One peak; its reliability is as in `find_peaks`.
    """
    half = _score_matrix(grid, 2, grid.reach, 1)[1]
    windows = windows_around(surface, np.zeros((len(surface), 2), np.int64), half)
    score = _scores(windows, grid, 2, grid.reach, 1).max(0)
    return find_peaks(np.pad(score, 1)[None], grid.reach)


def fit_vote(windows: Surface, grid: Grid, vote: Vote) -> Field:
    """Fit a field to the tiles' own peaks near the vote, weighted by their squared heights.

    Args:
        windows: (n, m, m), as for `vote_locally`.
        grid: the tiles.
        vote: of `vote_locally`.

    Returns:
        The field in samples; without covariance if fewer than four tiles have a peak near the vote.
    """
    expected = vote.at(grid.centers)
    whole = np.round(expected).astype(int)
    displacement, height = find_maxima(windows_around(windows, whole, _PEAK_REACH + 1))
    vectors = displacement + whole
    agree = np.hypot(*(vectors - expected).T) <= _AGREEMENT
    weights = np.where(agree, np.maximum(height, 0) ** 2, 0)
    if (weights > 0).sum() < 4:
        matrix = np.array([[vote.scale, vote.rotation], [-vote.rotation, vote.scale]])
        return Field(vote.shift, matrix, np.full((4, 4), np.nan), "similarity", int(agree.sum()))
    return solve(grid.centers[weights > 0], vectors[weights > 0], weights[weights > 0], "similarity")
