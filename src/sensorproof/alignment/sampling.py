"""Even selections from long sequences of frames, and statistics that need enough frames."""

import numpy as np
from numpy.typing import NDArray


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` indices that are spread evenly over `count` items, the first and the last included."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def median_or_nan(values: NDArray[np.float64], least: int) -> float:
    """Return the median of the finite values; NaN if there are fewer than `least` of them."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) >= least else np.nan
