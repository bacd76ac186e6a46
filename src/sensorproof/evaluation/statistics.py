"""Means over seeds, and paired differences with an interval."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def summarize(values: Sequence[float]) -> dict[str, float]:
    """Mean and sample standard deviation (0 for one value)."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}


def paired_gain(ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95) -> dict[str, Any]:
    """Mean of ours - theirs over paired seeds, with Student's interval; null ends where there is one seed.

    Returns:
        {"value": points, "ci95": [lo, hi]}; the key keeps its name at other confidences, as readers expect it.
    """
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    value, n = float(differences.mean()), len(differences)
    if n < 2:
        return {"value": value, "ci95": [None, None]}
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return {"value": value, "ci95": [value - half, value + half]}
