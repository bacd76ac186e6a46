"""The paired bootstrap over frames and seeds (Efron & Tibshirani 1993), and the interval that comes of it.

Both sides are scored on the same frames, and every draw takes the same frames, and the same seeds, of both. So what
makes a frame easy for both cancels, as in the paired t-test.

Frames of one sequence show one scene; single frames, drawn as if they were independent, would make the interval too
narrow. So whole sequences are drawn where there are enough of them; see `choose_units`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sensorproof.documents.comparison import Estimate

MIN_SEQUENCES = 8
"""With fewer sequences, single frames are drawn: the spread of so few sequences says little."""
_CHUNK = 100
"""Draws that are computed at once, which bounds the memory."""
_HITS, _TRUTH, _PREDICTED = range(3)

Floats = NDArray[np.float64]
Units = Literal["frames", "sequences"]


def choose_units(sequences: Sequence[str]) -> tuple[Units, NDArray[np.int64]]:
    """Choose what is drawn: whole sequences if there are at least `MIN_SEQUENCES`, else frames.

    Args:
        sequences: (F) of each frame.

    Returns:
        What is drawn, and for each frame (F) the number of its unit, from 0.

    Examples:
        >>> choose_units(["a", "a", "b"])
        ('frames', array([0, 1, 2]))
    """
    names, places = np.unique(np.array(sequences, dtype=np.str_), return_inverse=True)
    if len(names) >= MIN_SEQUENCES:
        return "sequences", places.astype(np.int64)
    return "frames", np.arange(len(sequences), dtype=np.int64)


def figures(counts: NDArray[np.integer] | Floats) -> Floats:
    """Compute the figures of one model from summed counts.

    Args:
        counts: (..., S, K, 3), see `metrics.frame_counts`; the last subset has all sensors.

    Returns:
        (..., 3 + K) points: mean of the mIoU over the subsets, mIoU with all sensors, mIoU of the worst subset, and of
        each class the mean of its IoU over the subsets. NaN where the ground truth has no such class, or no class.
    """
    iou = _iou(counts)
    miou = _mean(iou)
    worst = np.where(np.isnan(miou).all(-1), np.nan, np.min(miou, axis=-1, initial=np.inf, where=~np.isnan(miou)))
    return np.concatenate(
        [np.stack([_mean(miou), miou[..., -1], worst], -1), _mean(np.swapaxes(iou, -1, -2))],
        axis=-1,
    )


def subset_scores(counts: NDArray[np.integer] | Floats) -> Floats:
    """Compute the mIoU (..., S) of every subset from summed counts (..., S, K, 3), in points; see `figures`."""
    return _mean(_iou(counts))


def _iou(counts: NDArray[np.integer] | Floats) -> Floats:
    """Compute the IoU (..., S, K) in points; NaN where the ground truth has no such class."""
    whole = counts.astype(np.float64)
    hits, truth = whole[..., _HITS], whole[..., _TRUTH]
    union = truth + whole[..., _PREDICTED] - hits
    return np.divide(100 * hits, union, out=np.full_like(hits, np.nan), where=truth > 0)


def _mean(values: Floats) -> Floats:
    """Average over the last axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    number = known.sum(-1)
    total = np.where(known, values, 0.0).sum(-1)
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


@dataclass(frozen=True)
class Draws:
    """A figure, or a difference of two, as it was measured and in every draw."""

    seeds: Floats
    """(n, P) of each seed, over all frames."""
    values: Floats
    """(R, P) of each draw, averaged over the seeds drawn."""
    units: int
    """Of frames; see `choose_units`."""

    def __sub__(self, other: "Draws") -> "Draws":
        """Return the difference, paired by seed and by draw."""
        return Draws(self.seeds - other.seeds, self.values - other.values, self.units)

    def estimate(self, column: int, confidence: float, *, fixed_models: bool) -> Estimate:
        """Return the value of one figure with its interval.

        The interval is Student's t around the value. Its variance is the sum of two parts: that over the seeds, as in
        the t-test, and that over the frames, which is what the variance of the draws has beyond the seeds'. The degrees
        of freedom are those of Welch and Satterthwaite. It is never narrower than the t-test's over the seeds, which
        the freedom lent by many frames could make it. Quantiles of the draws would be far too narrow with a handful of
        seeds.

        Args:
            column: of the figures.
            confidence: of the two-sided interval, between 0 and 1.
            fixed_models: the one seed is the model itself, and not a sample of what its arm can bring.

        Returns:
            The value in points. The ends are None where there is one seed of an arm, or one unit of frames.
        """
        seeds, draws = self.seeds[:, column], self.values[:, column]
        value, number = float(seeds.mean()), len(seeds)
        draws = draws[np.isfinite(draws)]
        if self.units < 2 or len(draws) < 2 or (number < 2 and not fixed_models):
            return Estimate(value=value, interval=(None, None))
        spread = float(seeds.var())
        of_frames = max(0.0, float(draws.var()) - spread / number) * self.units / (self.units - 1)
        of_seeds = spread / (number - 1) if number > 1 else 0.0
        variance = of_seeds + of_frames
        if variance == 0:
            return Estimate(value=value, interval=(value, value))
        freedom = variance**2 / (of_seeds**2 / max(1, number - 1) + of_frames**2 / (self.units - 1))
        upper = (1 + confidence) / 2
        half = float(stats.t.ppf(upper, freedom)) * variance**0.5
        if number > 1:
            half = max(half, float(stats.t.ppf(upper, number - 1)) * of_seeds**0.5)
        return Estimate(value=value, interval=(value - half, value + half))


def draw(
    models: Sequence[NDArray[np.uint32]],
    units: NDArray[np.int64],
    resamples: int,
    seed: int = 0,
    figures: Callable[[Floats], Floats] = figures,
) -> Draws:
    """Draw frames and seeds with replacement, and compute the figures of every draw.

    Two calls with the same units, number of models, resamples and seed draw the same frames and seeds: their
    difference is paired.

    Args:
        models: the counts (F, S, K, 3) of one model a seed, all on the same frames.
        units: (F) the unit of each frame, from 0, see `choose_units`.
        resamples: number of draws R.
        seed: of the draws.
        figures: computes (..., P) from summed counts (..., S, K, 3).
    """
    number, size = len(models), int(units.max()) + 1
    summed = [_sum_by_unit(counts, units, size) for counts in models]
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, resamples, _CHUNK):
        drawn = min(_CHUNK, resamples - start)
        often = rng.multinomial(size, np.full(size, 1 / size), drawn).astype(np.float64)
        shares = rng.multinomial(number, np.full(number, 1 / number), drawn) / number
        own = [figures((often @ total.reshape(size, -1)).reshape(drawn, *total.shape[1:])) for total in summed]
        parts.append(sum((shares[:, i, None] * each for i, each in enumerate(own)), np.zeros(())))
    seeds = np.stack([figures(total.sum(0)) for total in summed])
    return Draws(seeds, np.concatenate(parts), size)


def _sum_by_unit(counts: NDArray[np.uint32], units: NDArray[np.int64], size: int) -> Floats:
    """Sum the counts (F, S, K, 3) of each unit: (U, S, K, 3)."""
    total = np.zeros((size, *counts.shape[1:]))
    np.add.at(total, units, counts)
    return total
