"""The corners of an image, where a displacement is largest."""

import numpy as np
from numpy.typing import NDArray

_SIGNS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
CORNER_COLUMNS = tuple(f"corner{k}_{axis}_px" for k in range(len(_SIGNS)) for axis in "yx")
"""Names of the displacements at the four corners, in the order of `image_corners`."""


def image_corners(size: tuple[float, float]) -> NDArray[np.float64]:
    """Return the corners (4, 2) of an image (height, width) as y and x in pixels from its centre."""
    return _SIGNS * np.array(size) / 2


def largest_length(vectors: NDArray[np.float64]) -> float:
    """Return the length of the longest of (n, 2) vectors."""
    return float(np.hypot(*vectors.T).max())
