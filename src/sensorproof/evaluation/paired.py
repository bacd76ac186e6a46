"""Compare two sides frame by frame: an arm with another, or a model with the champion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorproof.documents.comparison import OTHERS, Comparison, Estimate, GroupGains, HoldoutRecord
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.bootstrap import Draws, choose_units, draw
from sensorproof.evaluation.pixel_counts import PixelCounts, name_groups
from sensorproof.settings import Settings

_MEAN, _FULL, _WORST = range(3)
_CLASSES = 3
"""The columns of `bootstrap.figures`."""


def compare_sides(
    ours: Sequence[PixelCounts], theirs: Sequence[PixelCounts], settings: Settings, *, fixed_models: bool
) -> Comparison:
    """Compare two sides on the same frames.

    Args:
        ours: one model a seed.
        theirs: as many, with the same seeds in the same order.
        settings: the number of draws, the confidence, and how many frames a group needs.
        fixed_models: each side is one certain model. Otherwise one seed has no interval.

    Raises:
        SensorproofError: the two were not scored on the same frames with the same sensors and classes, or not with as
            many seeds.
    """
    _check_same(ours, theirs)
    first = ours[0]
    frames = len(first.frames)

    def compare_frames(rows: NDArray[np.bool_]) -> tuple[Draws, Draws, str, int]:
        """Return our draws and the paired differences over some frames, what was drawn, and of how many."""
        kind, units = choose_units(np.array(first.sequences, dtype=np.str_)[rows].tolist())
        resamples = settings.promotion.resamples
        mine, other = (draw([side.counts[rows] for side in sides], units, resamples) for sides in (ours, theirs))
        return mine, mine - other, kind, mine.units

    def estimate(draws: Draws, column: int) -> Estimate:
        return draws.estimate(column, settings.evaluate.confidence, fixed_models=fixed_models)

    def compare_groups(names: Sequence[str]) -> GroupGains:
        """Return the gains of each group of frames."""
        of_frame = name_groups(names)
        sizes = {str(name): int((of_frame == name).sum()) for name in np.unique(of_frame)}
        small = tuple(name for name, size in sizes.items() if size < settings.promotion.min_group_frames)
        groups = {name: of_frame == name for name in sizes if name not in small}
        together = np.isin(of_frame, small)
        if together.sum() >= settings.promotion.min_group_frames:
            groups[OTHERS] = together
        gains = {name: estimate(compare_frames(rows)[1], _MEAN) for name, rows in groups.items()}
        return GroupGains(gains=_finite(gains), small=small)

    mine, gains, kind, drawn = compare_frames(np.ones(frames, dtype=bool))
    seen = (first.counts[:, -1, :, 1] > 0).sum(0)
    enough = seen >= settings.promotion.min_group_frames
    classes = {name: estimate(gains, _CLASSES + k) for k, name in enumerate(first.classes) if enough[k]}
    return Comparison(
        holdout=HoldoutRecord(hash=first.holdout, frames=frames),
        units="sequences" if kind == "sequences" else "frames",
        drawn=drawn,
        mean=estimate(gains, _MEAN),
        full=estimate(gains, _FULL),
        worst=estimate(mine, _WORST),
        classes=GroupGains(
            gains=_finite(classes), small=tuple(name for k, name in enumerate(first.classes) if not enough[k])
        ),
        sites=compare_groups(first.sites),
        conditions=compare_groups(first.conditions),
    )


def _finite(gains: dict[str, Estimate]) -> dict[str, Estimate]:
    """Leave out the groups that no pixel of the ground truth belongs to."""
    return {name: gain for name, gain in gains.items() if np.isfinite(gain.value)}


def _check_same(ours: Sequence[PixelCounts], theirs: Sequence[PixelCounts]) -> None:
    """Check that all models were scored on the same frames, and both sides have as many."""
    fix = "run `dvc repro evaluate`"
    if not ours or len(ours) != len(theirs):
        raise SensorproofError("hold-out", f"{len(ours)} models cannot be compared with {len(theirs)}", fix)
    for part in ("holdout", "frames", "sensors", "classes"):
        if len({getattr(side, part) for side in (*ours, *theirs)}) > 1:
            raise SensorproofError("hold-out", f"the models were not scored on the same {part}", fix)
