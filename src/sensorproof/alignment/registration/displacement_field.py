"""A displacement field fitted to the displacements of tiles: shift, scale, rotation, and their standard errors."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_Vectors = NDArray[np.float64]
Model = Literal["shift", "similarity", "affine"]
_OUTLIER_PX = 1.0
"""A tile further from the fitted field than this, and than three times the median residual, is an outlier."""
_LEAST_ERROR_PX = 0.1
"""Tiles are never assumed to be more exact than this, however well a few of them agree."""
_RIDGE = 1e-14
"""Share of the normal equations' trace that keeps them solvable."""
MIN_TILES: dict[Model, int] = {"affine": 6, "similarity": 4, "shift": 1}
"""Tiles that a model needs: with as many unknowns as tiles it would fit their errors."""


@dataclass(frozen=True)
class Field:
    """The field displacement(p) = shift + matrix @ p, with p = (y, x) in pixels from the image's centre."""

    shift: _Vectors
    """(2,) pixels."""
    matrix: _Vectors
    """(2, 2)."""
    covariance: _Vectors
    """(u, u) of the unknowns in the order of `_design`, pixels squared; NaN if too few tiles determine it."""
    model: Model
    tiles: int
    """Tiles that the field was fitted to."""

    def at(self, points: _Vectors) -> _Vectors:
        """Return the displacements (n, 2) at points (n, 2)."""
        return np.asarray(self.shift + points @ self.matrix.T)

    def error_at(self, points: _Vectors) -> _Vectors:
        """Return the standard error (n,) of the displacements' lengths at points (n, 2), in pixels."""
        rows = _design(points, self.model)
        return np.sqrt(np.einsum("aiu,uv,aiv->i", rows, self.covariance, rows))

    @property
    def scale_percent(self) -> float:
        """How much larger the sensor shows objects than the reference, in percent."""
        return float(100 * (self.matrix[0, 0] + self.matrix[1, 1]) / 2)

    @property
    def rotation_deg(self) -> float:
        """Rotation of the sensor's image against the reference's, in degrees, clockwise on the screen."""
        return float(np.degrees(np.arctan2((self.matrix[0, 1] - self.matrix[1, 0]) / 2, 1 + self.scale_percent / 100)))

    def scaled(self, factor: float) -> "Field":
        """Return the same field in a unit of which a pixel has `factor`."""
        unit = np.array([1.0, 1.0] + [1 / factor] * (len(self.covariance) - 2)) * factor
        return Field(self.shift * factor, self.matrix, self.covariance * np.outer(unit, unit), self.model, self.tiles)


def fit_field(points: _Vectors, vectors: _Vectors, weights: NDArray[np.float64], model: Model) -> Field:
    """Fit a field to the displacements of tiles and leave outliers out.

    Args:
        points: (n, 2) tile centres, y and x from the image's centre.
        vectors: (n, 2) displacement of each tile.
        weights: (n,) positive.
        model: the richest model to use; too few tiles get a simpler one.
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
    """Return the matrix (2, n, u) that maps the unknowns to the displacement in y and in x at each point.

    The unknowns are the shift ty, tx; then s and r of a similarity (dy = ty + s y + r x, dx = tx + s x - r y), or the
    matrix of an affine map row by row.
    """
    zero, one = np.zeros(len(points)), np.ones(len(points))
    y, x = points.T
    if model == "shift":
        return np.stack([np.column_stack([one, zero]), np.column_stack([zero, one])])
    if model == "similarity":
        return np.stack([np.column_stack([one, zero, y, x]), np.column_stack([zero, one, x, -y])])
    return np.stack([np.column_stack([one, zero, y, x, zero, zero]), np.column_stack([zero, one, zero, zero, y, x])])


def solve(points: _Vectors, vectors: _Vectors, weights: NDArray[np.float64], model: Model) -> Field:
    """Solve weighted least squares for a model, or for the richest one that the number of tiles allows.

    Args:
        points: (n, 2) tile centres, y and x from the image's centre.
        vectors: (n, 2) displacement of each tile.
        weights: (n,) positive.
        model: the richest model to use.
    """
    models: tuple[Model, ...] = ("affine", "similarity", "shift")
    used = next(m for m in models[models.index(model) :] if len(points) >= MIN_TILES[m])
    rows = np.concatenate(_design(points, used))
    target = vectors.T.ravel()
    share = np.tile(weights / weights.mean(), 2)
    normal = (rows.T * share) @ rows
    # The tiles of a very small image may lie on one line. What they cannot determine is then zero, with a huge error.
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
