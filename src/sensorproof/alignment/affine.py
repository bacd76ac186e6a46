"""An affine displacement field fitted to the reliable tiles, and what it says: shift, scale, rotation, corners."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]
OUTLIER_PX = 1.0
"""A tile further from the fitted field than this, and than thrice the usual residual, is left out."""


@dataclass(frozen=True)
class Field:
    """displacement(p) = shift + matrix @ p, for p = (y, x) pixels from the image's centre."""

    shift: Vectors
    matrix: Vectors
    tiles: int
    """Tiles that bear it out."""

    def at(self, points: Vectors) -> Vectors:
        """(n, 2) displacements at (n, 2) points."""
        return self.shift + points @ self.matrix.T

    def corners(self, size: tuple[float, float]) -> Vectors:
        """(4, 2) displacements at the corners of an image (height, width)."""
        return self.at(np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * np.array(size) / 2)

    @property
    def scale_percent(self) -> float:
        """How much larger the sensor shows things than the reference, percent."""
        return float(100 * (self.matrix[0, 0] + self.matrix[1, 1]) / 2)

    @property
    def rotation_deg(self) -> float:
        """How far the sensor's image is turned against the reference's, degrees, clockwise on the screen."""
        return float(np.degrees(np.arctan2((self.matrix[0, 1] - self.matrix[1, 0]) / 2, 1 + self.scale_percent / 100)))


def fit_field(points: Vectors, vectors: Vectors, weights: NDArray[np.float64]) -> Field:
    """Fit a field to tile vectors, robustly.

    A full affine map from six tiles on, a similarity (shift, scale, rotation) from three, below that the weighted
    mean: a map with as many unknowns as tiles would fit their errors.

    Args:
        points: (n, 2) tile centres, y and x from the image's centre.
        vectors: (n, 2) displacement of each tile.
        weights: (n,) positive.
    """
    keep = np.ones(len(points), bool)
    field = solve(points, vectors, weights)
    for _ in range(4):
        residual = np.hypot(*(vectors - field.at(points)).T)
        limit = max(OUTLIER_PX, 3 * float(np.median(residual[keep])))
        kept = residual <= limit
        if (kept == keep).all() or kept.sum() < max(3, len(points) / 2):
            break
        keep = kept
        field = solve(points[keep], vectors[keep], weights[keep])
    return field


def solve(points: Vectors, vectors: Vectors, weights: NDArray[np.float64]) -> Field:
    """Weighted least squares for the map that the number of tiles allows."""
    n = len(points)
    root = np.sqrt(weights)[:, None]
    if n >= 6:
        design = np.column_stack([np.ones(n), points])
        solution = np.linalg.lstsq(design * root, vectors * root, rcond=None)[0]
        return Field(solution[0], solution[1:].T, n)
    if n >= 3:
        # dy = ty + s y + r x, dx = tx + s x - r y
        zero, one = np.zeros(n), np.ones(n)
        rows_y = np.column_stack([one, zero, points[:, 0], points[:, 1]])
        rows_x = np.column_stack([zero, one, points[:, 1], -points[:, 0]])
        design = np.concatenate([rows_y * root, rows_x * root])
        target = np.concatenate([vectors[:, :1] * root, vectors[:, 1:] * root])[:, 0]
        ty, tx, s, r = np.linalg.lstsq(design, target, rcond=None)[0]
        return Field(np.array([ty, tx]), np.array([[s, r], [-r, s]]), n)
    shift = np.average(vectors, axis=0, weights=weights)
    return Field(shift, np.zeros((2, 2)), n)
