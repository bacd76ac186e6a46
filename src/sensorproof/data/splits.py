"""Assign frames to training, validation and test.

Never single frames at random: neighbouring frames show the same scene, and the test would be too easy.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from sensorproof.data.batch import Batch
from sensorproof.settings import SplitSettings

_MIN_SITES = 3
"""A batch with at least so many sites is split by sites, so that the test scores are about unseen places."""


def assign_splits(batches: Sequence[Batch], settings: SplitSettings) -> list[pd.Series]:
    """Assign every frame to a split.

    1. A `split` column decides where there is one.
    2. A site that an earlier batch gave to one split stays there. Batches are earlier by their first frame. So a later
       batch neither moves old frames nor shows the test's places to the training.
    3. Elsewhere whole sites go to one split if the batch brings at least three new ones, otherwise whole sequences.

    Only frames with a label count: a group without one is assigned to training, where it has no effect.

    Args:
        batches: in any order.
        settings: the shares of val and test, and the seed.

    Returns:
        For each batch, in the given order, the split of each frame.
    """
    known: dict[str, str] = {}
    splits: dict[int, pd.Series] = {}
    for index in sorted(range(len(batches)), key=lambda i: (first_time(batches[i]), batches[i].name)):
        frames = batches[index].frames
        labelled = frames.label != ""
        if (frames.split != "").all():
            split = frames.split
        else:
            split = frames.site.map(known).fillna("")
            new = split == ""
            if new.any():
                split[new] = _split_groups(_groups_of(frames[new]), labelled[new], settings)
        splits[index] = split
        for site, values in split[labelled].groupby(frames.site[labelled]):
            if values.nunique() == 1:
                known.setdefault(str(site), values.iloc[0])
    return [splits[index] for index in range(len(batches))]


def first_time(batch: Batch) -> float:
    """Return the earliest time of any sensor in the batch, in seconds; infinite if no sensor has a frame."""
    times = batch.frames[[f"{sensor}_time" for sensor in batch.sensors]].to_numpy(float)
    return float(np.min(times, where=np.isfinite(times), initial=np.inf))


def _groups_of(frames: pd.DataFrame) -> pd.Series:
    """Return the group of each frame: its site, or its site and sequence if there are too few sites."""
    if frames.site.nunique() >= _MIN_SITES:
        return frames.site
    return frames.site + "/" + frames.sequence


def _split_groups(groups: pd.Series, labelled: pd.Series, settings: SplitSettings) -> pd.Series:
    """Assign whole groups: one labelled group to train; of two, one to test; of three or more, one or more to val."""
    split = pd.Series("train", index=groups.index)
    remaining = groups[labelled]
    for name, share in (("test", settings.test), ("val", settings.val / (1 - settings.test))):
        if share > 0 and remaining.nunique() >= 2:
            selected = _draw_groups(remaining, share, settings.seed)
            split[groups.isin(selected)] = name
            remaining = remaining[~remaining.isin(selected)]
    return split


def _draw_groups(groups: pd.Series, share: float, seed: int) -> set[str]:
    """Draw about `share` of the groups, at least one and not all of them."""
    number = int(np.clip(round(share * groups.nunique()), 1, groups.nunique() - 1))
    splitter = GroupShuffleSplit(n_splits=1, test_size=number, random_state=seed)
    _, rows = next(splitter.split(groups, groups=groups))
    return set(groups.iloc[rows])
