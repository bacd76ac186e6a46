"""The scores of one arm by class, site and condition, each with the frames and pixels that it rests on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorproof.documents.groups import GroupScores, GroupTables
from sensorproof.documents.statistic import Statistic
from sensorproof.evaluation.bootstrap import figures
from sensorproof.evaluation.pixel_counts import PixelCounts, name_groups
from sensorproof.evaluation.statistics import summarize

_MEAN, _FULL, _CLASSES = 0, 1, 3
"""Columns of `bootstrap.figures`."""
_TRUTH = 1


def group_scores(models: Sequence[PixelCounts], min_frames: int) -> GroupTables:
    """Score every class, site and condition.

    Args:
        models: of one arm, one a seed, all on the same frames.
        min_frames: a group with fewer is small.
    """
    first = models[0]
    truth = first.counts[:, -1, :, _TRUTH].astype(np.int64)

    def of_frames(rows: NDArray[np.bool_]) -> GroupScores:
        scores = [figures(model.counts[rows].sum(0, dtype=np.int64)) for model in models]
        number = int(rows.sum())
        return GroupScores(
            frames=number,
            pixels=int(truth[rows].sum()),
            small=number < min_frames,
            mean=_summarize([each[_MEAN] for each in scores]),
            full=_summarize([each[_FULL] for each in scores]),
        )

    def of_names(names: Sequence[str]) -> dict[str, GroupScores]:
        of_frame = name_groups(names)
        return {str(name): of_frames(of_frame == name) for name in np.unique(of_frame)}

    sums = [model.counts.sum(0, dtype=np.int64) for model in models]

    def of_class(place: int) -> GroupScores:
        number = int((truth[:, place] > 0).sum())
        return GroupScores(
            frames=number,
            pixels=int(truth[:, place].sum()),
            small=number < min_frames,
            mean=_summarize([figures(total)[_CLASSES + place] for total in sums]),
            full=_summarize([figures(total[-1:])[_CLASSES + place] for total in sums]),
        )

    return GroupTables(
        classes={name: of_class(place) for place, name in enumerate(first.classes)},
        sites=of_names(first.sites),
        conditions=of_names(first.conditions),
    )


def _summarize(values: Sequence[float]) -> Statistic | None:
    return summarize(values) if np.isfinite(values).all() else None
