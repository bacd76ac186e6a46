"""Which stamps of a sequence are out of order? The fewest whose absence lets time go on, and among those the oddest."""

import numpy as np
from numpy.typing import NDArray

REACH = 64
"""Frames back to which time may have to be taken up; a longer run of stamps ahead is a sequence of its own."""


def in_order_steps(stamps: NDArray[np.float64], period: float) -> NDArray[np.float64]:
    """(N,) step to each frame of a sequence; not above zero where the frame is out of order, NaN for the first.

    The frames that stay are the longest run of rising stamps (Fredman 1975, with bounded reach), the most regular of
    several. Their step is from the last one that stays. A frame that has fallen back, or repeats a stamp, lies that far
    behind the last that stays; one that has jumped ahead, that far beyond the next.

    Args:
        stamps: (N,) in the order of the frames, seconds, all finite.
        period: the usual step.
    """
    steps = np.full(len(stamps), np.nan)
    steps[1:] = np.diff(stamps)
    if not (steps[1:] <= 0).any():
        return steps
    fresh = np.flatnonzero(np.append(True, steps[1:] != 0))  # of equal stamps in a row, the first
    stays = fresh[rising(stamps[fresh], fresh, period)]
    steps[stays[0]] = np.nan
    steps[stays[1:]] = np.diff(stamps[stays])
    for k in np.setdiff1d(np.arange(len(stamps)), stays):
        after = int(np.searchsorted(stays, k))
        behind = stamps[k] - stamps[stays[after - 1]] if after else np.inf
        ahead = stamps[stays[after]] - stamps[k] if after < len(stays) else np.inf
        steps[k] = min(behind, ahead)
    return steps


def rising(stamps: NDArray[np.float64], places: NDArray[np.int64], period: float) -> NDArray[np.int64]:
    """Indices of the longest rising run, the one whose steps are closest to the period where several are as long."""
    length, odd = np.ones(len(stamps), np.int64), np.zeros(len(stamps))
    before = np.full(len(stamps), -1)
    for k in range(1, len(stamps)):
        earlier = np.arange(max(0, k - REACH), k)
        earlier = earlier[stamps[earlier] < stamps[k]]
        if not len(earlier):
            continue
        cost = odd[earlier] + np.abs(stamps[k] - stamps[earlier] - period * (places[k] - places[earlier]))
        best = np.lexsort((cost, -length[earlier]))[0]
        length[k], odd[k], before[k] = length[earlier[best]] + 1, cost[best], earlier[best]
    k = int(np.lexsort((odd, -length))[0])
    found = []
    while k >= 0:
        found.append(k)
        k = int(before[k])
    return np.array(found[::-1])
