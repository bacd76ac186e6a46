"""Protocol NM, noisy modality (arXiv 2503.18445): salt and pepper, then Gaussian noise, at three levels."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVELS: Final[Mapping[str, tuple[float, float]]] = {"low": (0.05, 0.1), "mid": (0.1, 0.2), "high": (0.2, 0.5)}
"""{level: (share of the values that become salt or pepper, standard deviation of the noise after normalisation)}."""


def add_noise(pixels: NDArray[np.float32], level: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Add noise to a normalised image.

    Args:
        pixels: (C, H, W), normalised; NaN where invalid, which stays so.
        level: of LEVELS.
        rng: draws the noise.

    Returns:
        (C, H, W). Half of the chosen values become the image's maximum, half its minimum; then all get Gaussian noise.
    """
    density, sigma = LEVELS[level]
    draw = rng.random(pixels.shape, dtype=np.float32)
    noisy = np.where(draw < density / 2, np.nanmax(pixels), pixels)
    noisy = np.where((draw >= density / 2) & (draw < density), np.nanmin(pixels), noisy)
    noisy = noisy + np.float32(sigma) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.where(np.isnan(pixels), pixels, noisy).astype(np.float32)
