"""Means over seeds, and differences paired by seed with their confidence interval."""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

from sensorproof.documents.comparison import Estimate
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


def paired_share(ours: Sequence[float], lowest: Sequence[float], best: Sequence[float], confidence: float) -> Estimate:
    """Compute (ours - lowest) / (best - lowest), of the means over seeds, with Fieller's interval (Fieller 1954).

    Args:
        ours: a score of each seed.
        lowest: the scores of the same seeds where the share is 0.
        best: the scores of the same seeds where it is 1.
        confidence: of the two-sided interval, between 0 and 1.

    Returns:
        The share, without an interval where there is one seed, or where `best` is not significantly above or below
        `lowest`: any share is possible then.

    Examples:
        >>> share = paired_share([54.0, 55.0, 56.5], [50.0, 51.0, 52.0], [58.0, 59.5, 60.0], 0.95)
        >>> round(share.value, 2), [round(end, 2) for end in share.interval]
        (0.51, [0.4, 0.64])
    """
    part = np.asarray(ours, dtype=float) - np.asarray(lowest, dtype=float)
    whole = np.asarray(best, dtype=float) - np.asarray(lowest, dtype=float)
    top, bottom, number = float(part.mean()), float(whole.mean()), len(part)
    value = top / bottom if bottom else 0.0
    if number < 2:
        return Estimate(value=value, interval=(None, None))
    covariance = np.cov(part, whole) / number
    square = float(stats.t.ppf((1 + confidence) / 2, number - 1)) ** 2
    # The shares s with (top - s bottom)^2 <= t^2 Var(top - s bottom), which is a quadratic in s.
    a = bottom**2 - square * covariance[1, 1]
    b = top * bottom - square * covariance[0, 1]
    c = top**2 - square * covariance[0, 0]
    if a <= 0:
        return Estimate(value=value, interval=(None, None))
    half = max(0.0, b**2 - a * c) ** 0.5
    return Estimate(value=value, interval=(float((b - half) / a), float((b + half) / a)))
