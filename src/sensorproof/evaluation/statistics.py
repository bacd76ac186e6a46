"""Means over seeds, and differences paired by seed with their confidence interval."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from sensorproof.documents.evaluation import Gain
from sensorproof.documents.statistic import Statistic


def summarize(values: Sequence[float]) -> Statistic:
    """Compute the mean and the sample standard deviation (0 for one value).

    Examples:
        >>> summarize([50.0, 52.0, 54.0])
        Statistic(mean=52.0, std=2.0)
    """
    return Statistic(mean=float(np.mean(values)), std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


def paired_gain(ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95) -> Gain:
    """Compute the mean of ours - theirs with the interval of the paired t-test (Student 1908).

    Args:
        ours: a score of each seed, in points.
        theirs: the scores of the same seeds.
        confidence: of the two-sided interval, between 0 and 1.

    Returns:
        The gain in points. One seed gives no interval: its ends are None.

    Examples:
        >>> gain = paired_gain([55.0, 56.0, 54.0], [50.0, 52.0, 51.0])
        >>> gain.value, [round(end, 2) for end in gain.ci95]
        (4.0, [1.52, 6.48])
    """
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    value = float(differences.mean())
    if len(differences) < 2:
        return Gain(value=value, ci95=(None, None))
    # scipy warns of equal differences, for which the interval is rightly one point.
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        interval = stats.ttest_rel(ours, theirs).confidence_interval(confidence)
    return Gain(value=value, ci95=(float(interval.low), float(interval.high)))
