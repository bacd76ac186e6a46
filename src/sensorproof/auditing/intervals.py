"""Intervals of an audit's scores over the frames: the model is fixed, its frames are a sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensorproof.documents.audit import Interval
from sensorproof.evaluation.bootstrap import Floats, Units, choose_units, draw, subset_scores

CONFIDENCE: Final = 0.95
_DRAWS = 2000
Case = tuple[str, ...]


@dataclass(frozen=True)
class Intervals:
    """What was drawn, and what came of it."""

    units: Units
    drawn: int
    cases: dict[Case, Interval]
    mean: Interval
    """Of the mean over the subsets."""
    worst: Interval
    """Of the worst subset."""


def draw_intervals(
    counts: Mapping[Case, NDArray[np.int64]], subsets: Sequence[Case], sequences: Sequence[str]
) -> Intervals:
    """Draw the frames, or sequences where there are enough, with replacement; see `evaluation.bootstrap`.

    Args:
        counts: {case: (F, K, 3)}, see `metrics.frame_counts`.
        subsets: the cases that mean and worst are over.
        sequences: (F) of the frames.
    """
    names = list(counts)
    columns = [names.index(subset) for subset in subsets]

    def figures(sums: Floats) -> Floats:
        """Return (…, cases + 2) of counts (…, cases, K, 3)."""
        scores = subset_scores(sums)
        own = scores[..., columns]
        return np.concatenate([scores, own.mean(-1, keepdims=True), own.min(-1, keepdims=True)], axis=-1)

    kind, units = choose_units(sequences)
    together = np.stack([counts[name] for name in names], axis=1).astype(np.uint32)
    draws = draw([together], units, _DRAWS, figures=figures)
    ends = [draws.estimate(place, CONFIDENCE, fixed_models=True).interval for place in range(len(names) + 2)]
    return Intervals(kind, draws.units, dict(zip(names, ends, strict=False)), ends[-2], ends[-1])
