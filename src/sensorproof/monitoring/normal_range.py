"""What a sensor's images usually look like, learnt from training images, and how far another image is from that.

Three signs need no comparison of sites: a part that shows nothing, white noise, and no image at all. For all others
there are two distances, each in units of its own threshold: the largest excess of any statistic over its range in
training, and the Mahalanobis distance, which also sees a combination of values that never occurred together. The
thresholds come from leaving each site out in turn: how far do images of a site lie from the ranges of all the others?
"""

from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from sensorproof.monitoring.image_statistics import QUANTITIES, REGIONS, SPREAD, STEP, VALID, Values

_MIN_SPAN = 0.05
"""A statistic that hardly varies in training may vary by this much, as a share of the sensor's range."""
_MIN_DEVIATION = 0.02
_SHRINKAGE = 0.2
"""Weight of the identity in the correlation matrix: there are about as many statistics as training images."""
_TAIL = 0.1
"""The share of the largest distances, whose decay is taken for exponential."""
MIN_SITES = 4
"""A range that comes from fewer sites says nothing about another site: then the two distances are not judged."""
_MORE_EMPTY = 0.1
"""An image may have this share of empty blocks more than any training image."""
_MIN_SPREAD = 1e-3
"""Of an image whose roughness means anything."""
_ROUGH = 1.8
"""Step over spread: 2.3 for white noise, below 1 for images of anything."""
_CERTAIN = 2.0
"""The score of an image that is partly empty or white noise where no training image was."""
_ALL = 0.95
"""From this share of empty blocks on, an image is not partly but wholly lost."""
PARTLY_LOST = "partly lost"
Rows = NDArray[np.float64]
"""(N, S) statistics with regions and quantities in one row; or a vector or matrix of the same."""
Empty = NDArray[np.bool_]
"""(N, h, w), from `measure_images`."""


class NormalRange(BaseModel):
    """The statistics of one sensor's training images, and what exceeds them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: tuple[float, ...]
    """(S) lowest value of each statistic in training."""
    high: tuple[float, ...]
    center: tuple[float, ...]
    """(S) medians."""
    whitening: tuple[tuple[float, ...], ...]
    """(S, S): maps deviations from the medians to uncorrelated ones."""
    range_threshold: float | None
    """None for data of too few sites, as is the next."""
    distance_threshold: float | None
    empty: float
    """Largest share of empty blocks of a training image."""
    roughness: float
    """Largest step over spread of a training image."""

    @model_validator(mode="after")
    def _has_every_statistic(self) -> Self:
        expected = REGIONS * len(QUANTITIES)
        parts = (self.low, self.high, self.center, self.whitening, *self.whitening)
        if any(len(part) != expected for part in parts):
            raise ValueError(f"is not of {expected} statistics")
        return self

    @cached_property
    def _arrays(self) -> tuple[Rows, Rows, Rows, Rows]:
        """Range, medians and whitening as arrays."""
        return np.array(self.low), np.array(self.high), np.array(self.center), np.array(self.whitening)

    @classmethod
    def fit(cls, values: Values, empty: Empty, sites: NDArray[np.str_], rate: float) -> Self:
        """Learn from training images.

        Args:
            values: (N, REGIONS, QUANTITIES), from `measure_images`; N may be 0.
            empty: their empty blocks.
            sites: (N) the site of each image.
            rate: share of sound images that may score above 1.
        """
        rows = values.reshape(len(values), values.shape[1] * values.shape[2]).astype(np.float64)
        low, high, center, whitening = _fit_rows(rows)
        thresholds: tuple[float | None, float | None] = (None, None)
        if len(np.unique(sites)) >= MIN_SITES:
            excesses, distances = _leave_sites_out(rows, sites)
            thresholds = upper_limit(excesses, rate / 2), upper_limit(distances, rate / 2)
        return cls(
            low=_shorten(low),
            high=_shorten(high),
            center=_shorten(center),
            whitening=tuple(map(_shorten, whitening)),
            range_threshold=thresholds[0],
            distance_threshold=thresholds[1],
            empty=float(empty.mean((1, 2)).max(initial=0.0)),
            roughness=float(_roughness(values).max(initial=0.0)),
        )

    def score(self, values: Values, empty: Empty) -> NDArray[np.float64]:
        """Return how unusual images are (B): above 1 they are no images of a sound sensor."""
        certain = self.is_partly_lost(empty) | (_roughness(values) > max(_ROUGH, self.roughness))
        score = np.zeros(len(values))
        if self.range_threshold is not None and self.distance_threshold is not None:
            rows = values.reshape(len(values), -1).astype(np.float64)
            excess, distance = _distances(rows, *self._arrays)
            score = np.maximum(excess / self.range_threshold, distance / self.distance_threshold)
        return np.where(certain, np.maximum(score, _CERTAIN), score)

    def is_partly_lost(self, empty: Empty) -> NDArray[np.bool_]:
        """Return which images have more empty blocks than any training image."""
        return np.asarray(empty.mean((1, 2)) > self.empty + _MORE_EMPTY)

    def describe(self, values: Values, empty: Empty) -> str:
        """Say in a word or two what is unusual about one image (1, REGIONS, QUANTITIES)."""
        whole = values[0, 0].astype(float)
        center = np.array(self.center).reshape(REGIONS, -1)[0]
        if self.is_partly_lost(empty)[0]:
            if empty.mean() < _ALL:
                return PARTLY_LOST
            return "black" if whole[0] < 0.1 else "over-exposed" if whole[0] > 0.9 else "shows nothing"
        if float(_roughness(values)[0]) > max(_ROUGH, self.roughness):
            return "noise"
        if whole[SPREAD] < 0.5 * center[SPREAD]:
            return "dark" if whole[0] < center[0] else "over-exposed"
        return "unlike the images in training"


def _shorten(numbers: Rows) -> tuple[float, ...]:
    """Round to six digits, which is more than they mean, and a third of the file's size."""
    return tuple(float(f"{number:.6g}") for number in numbers)


def _fit_rows(rows: Rows) -> tuple[Rows, Rows, Rows, Rows]:
    """Return lowest and highest values, medians and whitening matrix; what is NaN is not known."""
    known = np.isfinite(rows).any(0)
    center = np.zeros(rows.shape[1])
    if not len(rows):
        return center, center, center, np.eye(len(center))
    center[known] = np.nanmedian(rows[:, known], 0)
    rows = np.where(np.isfinite(rows), rows, center)
    scaled = (rows - center) / (deviation := np.maximum(rows.std(0), _MIN_DEVIATION))
    correlation = (1 - _SHRINKAGE) * (scaled.T @ scaled) / len(rows) + _SHRINKAGE * np.eye(rows.shape[1])
    whitening = np.linalg.cholesky(np.linalg.inv(correlation)) / deviation[:, None]
    return rows.min(0), rows.max(0), center, whitening


def _distances(rows: Rows, low: Rows, high: Rows, center: Rows, whitening: Rows) -> tuple[Rows, Rows]:
    """Return the largest excess over a range, in spans of the range, and the root mean square whitened deviation."""
    rows = np.where(np.isfinite(rows), rows, center)  # what is not known is no evidence
    span = np.maximum(high - low, _MIN_SPAN)
    excess = np.maximum((low - rows) / span, (rows - high) / span).max(1)
    return excess, np.sqrt((((rows - center) @ whitening) ** 2).mean(1))


def _leave_sites_out(rows: Rows, sites: NDArray[np.str_]) -> tuple[Rows, Rows]:
    """Return both distances of all rows, each from a fit without the row's own site."""
    parts = [_distances(rows[sites == site], *_fit_rows(rows[sites != site])) for site in np.unique(sites)]
    excesses, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    return excesses, distances


def upper_limit(values: Rows, rate: float) -> float:
    """Return what a value (N) exceeds with probability `rate`, by an exponential tail beyond the highest tenth.

    The decay comes from two quantiles and not from the mean: single images unlike all others must not widen the limit
    for everything.
    """
    start, end = np.quantile(values, [1 - _TAIL, 1 - _TAIL / 10])
    decay = max(float(end - start) / np.log(10), _MIN_DEVIATION)
    return max(float(start), 0.0) + decay * float(np.log(_TAIL / rate))


def _roughness(values: Values) -> NDArray[np.float64]:
    """Step over spread of the whole image (B); 0 where it shows next to nothing."""
    step, spread, valid = (values[:, 0, quantity].astype(float) for quantity in (STEP, SPREAD, VALID))
    known = np.isfinite(step) & np.isfinite(spread) & (valid > 0)
    return np.divide(step, spread, out=np.zeros(len(values)), where=known & (np.nan_to_num(spread) > _MIN_SPREAD))
