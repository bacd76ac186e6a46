"""A displacement field fitted to tiles, and what it says: shift, scale, rotation, corners, and how sure it is."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_Vectors = NDArray[np.float64]
Model = Literal["shift", "similarity", "affine"]
_OUTLIER_PX = 1.0
"""A tile further from the fitted field than this, and than thrice the usual residual, is left out."""
_LEAST_ERROR_PX = 0.1
"""Tiles are never taken to be more exact than this, however well few of them agree."""
_RIDGE = 1e-14
"""Share of the normal equations' trace that keeps them solvable."""
TILES: dict[Model, int] = {"affine": 6, "similarity": 4, "shift": 1}
"""Tiles that a model needs: with as many unknowns as tiles it would fit their errors."""


@dataclass(frozen=True)
class Field:
    """displacement(p) = shift + matrix @ p, for p = (y, x) pixels from the image's centre."""

    shift: _Vectors
    matrix: _Vectors
    covariance: _Vectors
    """(u, u) of the unknowns, pixels squared, as `_design` orders them; NaN where tiles cannot tell."""
    model: Model
    tiles: int
    """Tiles that bear it out."""

    def at(self, points: _Vectors) -> _Vectors:
        """(n, 2) displacements at (n, 2) points."""
        return np.asarray(self.shift + points @ self.matrix.T)

    def error_at(self, points: _Vectors) -> _Vectors:
        """(n,) standard error of the displacements at (n, 2) points, pixels (the length's, not an axis's)."""
        rows = _design(points, self.model)
        return np.sqrt(np.einsum("aiu,uv,aiv->i", rows, self.covariance, rows))

    @property
    def scale_percent(self) -> float:
        """How much larger the sensor shows things than the reference, percent."""
        return float(100 * (self.matrix[0, 0] + self.matrix[1, 1]) / 2)

    @property
    def rotation_deg(self) -> float:
        """How far the sensor's image is turned against the reference's, degrees, clockwise on the screen."""
        return float(np.degrees(np.arctan2((self.matrix[0, 1] - self.matrix[1, 0]) / 2, 1 + self.scale_percent / 100)))

    def scaled(self, factor: float) -> "Field":
        """The same field where a pixel is `factor` pixels."""
        unit = np.array([1.0, 1.0] + [1 / factor] * (len(self.covariance) - 2)) * factor
        return Field(self.shift * factor, self.matrix, self.covariance * np.outer(unit, unit), self.model, self.tiles)


def corners_of(size: tuple[float, float]) -> _Vectors:
    """(4, 2) the corners of an image (height, width), from its centre."""
    return np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * np.array(size) / 2


def fit_field(points: _Vectors, vectors: _Vectors, weights: NDArray[np.float64], model: Model) -> Field:
    """Fit a field to tile vectors, robustly: tiles far off the field of the others are left out.

    Args:
        points: (n, 2) tile centres, y and x from the image's centre.
        vectors: (n, 2) displacement of each tile.
        weights: (n,) positive.
        model: the richest model to use; fewer tiles than it needs get a poorer one.
    """
    keep = np.ones(len(points), bool)
    field = solve(points, vectors, weights, model)
    for _ in range(4):
        residual = np.hypot(*(vectors - field.at(points)).T)
        limit = max(_OUTLIER_PX, 3 * float(np.median(residual[keep])))
        kept = residual <= limit
        if (kept == keep).all() or kept.sum() < max(3, len(points) / 2):
            break
        keep = kept
        field = solve(points[keep], vectors[keep], weights[keep], model)
    return field


def _design(points: _Vectors, model: Model) -> NDArray[np.float64]:
    """(2, n, u) how the unknowns make the displacement in y and in x at each point.

    Unknowns: the shift ty, tx; then s and r of a similarity (dy = ty + s y + r x, dx = tx + s x - r y), or the
    matrix row by row.
    """
    zero, one = np.zeros(len(points)), np.ones(len(points))
    y, x = points.T
    if model == "shift":
        return np.stack([np.column_stack([one, zero]), np.column_stack([zero, one])])
    if model == "similarity":
        return np.stack([np.column_stack([one, zero, y, x]), np.column_stack([zero, one, x, -y])])
    return np.stack([np.column_stack([one, zero, y, x, zero, zero]), np.column_stack([zero, one, zero, zero, y, x])])


def solve(points: _Vectors, vectors: _Vectors, weights: NDArray[np.float64], model: Model) -> Field:
    """Weighted least squares for the model, or the richest that the number of tiles allows."""
    order: tuple[Model, ...] = ("affine", "similarity", "shift")
    used = next(m for m in order[order.index(model) :] if len(points) >= TILES[m])
    rows = np.concatenate(_design(points, used))
    target = vectors.T.ravel()
    share = np.tile(weights / weights.mean(), 2)
    normal = (rows.T * share) @ rows
    # Tiles of a very small image may lie on one line: what they cannot tell is zero then, with a very large error.
    inverse = np.linalg.inv(normal + _RIDGE * np.trace(normal) * np.eye(len(normal)))
    solution = inverse @ (rows.T @ (share * target))
    freedom = len(target) - len(solution)
    residual = float((share * (target - rows @ solution) ** 2).sum())
    variance = max(residual / freedom, _LEAST_ERROR_PX**2) if freedom else np.nan
    covariance = variance * inverse
    matrix = np.zeros((2, 2))
    if used == "similarity":
        s, r = solution[2:]
        matrix = np.array([[s, r], [-r, s]])
    elif used == "affine":
        matrix = solution[2:].reshape(2, 2)
    return Field(solution[:2], matrix, covariance, used, len(points))
