"""Timestamps that are out of order: the smallest set whose removal makes a sequence increasing."""

import numpy as np
from numpy.typing import NDArray

_REACH = 64
"""Frames that a run of timestamps ahead of time may last; a longer run counts as a sequence of its own."""


def in_order_steps(stamps: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """Return the time step (N,) to each frame of a sequence; 0 or less for frames that are out of order.

    The frames in order are the longest increasing run (Fredman 1975, with bounded reach), and the most regular one if
    several are as long. Their step is from the previous frame in order. The step of a frame that fell back or repeats
    a timestamp is how far it is behind the previous frame in order; of one that jumped ahead, how far it is ahead of
    the next one, both negative or 0.

    Args:
        stamps: (N,) in the order of the frames, seconds, all finite.
        period: the median step in seconds, which regularity is measured by.

    Returns:
        Steps in seconds, NaN for the first frame in order.
    """
    steps = np.full(len(stamps), np.nan)
    steps[1:] = np.diff(stamps)
    if not (steps[1:] <= 0).any():
        return steps
    distinct = np.flatnonzero(np.append(True, steps[1:] != 0))  # the first of equal timestamps in a row
    ordered = distinct[_longest_run(stamps[distinct], distinct, period)]
    steps[ordered[0]] = np.nan
    steps[ordered[1:]] = np.diff(stamps[ordered])
    for k in np.setdiff1d(np.arange(len(stamps)), ordered):
        after = int(np.searchsorted(ordered, k))
        behind = stamps[k] - stamps[ordered[after - 1]] if after else np.inf
        ahead = stamps[ordered[after]] - stamps[k] if after < len(ordered) else np.inf
        steps[k] = min(behind, ahead)
    return steps


def _longest_run(stamps: NDArray[np.float64], frames: NDArray[np.int64], period: float) -> NDArray[np.int64]:
    """Return the indices of the longest increasing run; of several, the one whose steps are closest to the period."""
    length, irregularity = np.ones(len(stamps), np.int64), np.zeros(len(stamps))
    before = np.full(len(stamps), -1)
    for k in range(1, len(stamps)):
        earlier = np.arange(max(0, k - _REACH), k)
        earlier = earlier[stamps[earlier] < stamps[k]]
        if not len(earlier):
            continue
        deviation = np.abs(stamps[k] - stamps[earlier] - period * (frames[k] - frames[earlier]))
        cost = irregularity[earlier] + deviation
        best = np.lexsort((cost, -length[earlier]))[0]
        length[k], irregularity[k], before[k] = length[earlier[best]] + 1, cost[best], earlier[best]
    k = int(np.lexsort((irregularity, -length))[0])
    run = []
    while k >= 0:
        run.append(k)
        k = int(before[k])
    return np.array(run[::-1])
