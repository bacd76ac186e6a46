"""Assign frames to training, validation and test.

Never single frames at random: neighbouring frames show the same scene, and the test would be too easy.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

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


    Official splits of a public data set (`official_splits` in batch.yaml) may lack a labelled part; see `_complete`.

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
            split = _complete(frames, settings) if batches[index].info.official_splits else frames.split
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


def describe_changes(batches: Sequence[Batch], splits: Sequence[pd.Series]) -> list[str]:
    """Return a line for each batch whose `split` column was completed; see `assign_splits`."""
    lines = []
    for batch, split in zip(batches, splits, strict=True):
        changed = (batch.frames.label != "") & (batch.frames.split != "") & (split != batch.frames.split)
        for (old, new), rows in split[changed].groupby([batch.frames.split[changed], split[changed]]):
            why = "it has no labelled frame for " + str(new)
            lines.append(f"{batch.name}: {len(rows)} frames of its {old} split serve as {new}, as {why}")
    return lines


def _complete(frames: pd.DataFrame, settings: SplitSettings) -> pd.Series:
    """Fill a test or validation split that has no labelled frame, without moving a test frame that has one.

    - Without a labelled test frame (the data set keeps its test labels), the validation frames are the test.
    - Then without a labelled validation frame, whole sites or sequences of the training frames become it, by the
      share `settings.val`: choices must not be made on the test.
    """
    split, labelled = frames.split.copy(), frames.label != ""
    if not (split[labelled] == "test").any():
        split[(split == "val") & labelled] = "test"
    train = (split == "train") & labelled
    groups = _groups_of(frames[train])
    if not (split[labelled] == "val").any() and settings.val > 0 and groups.nunique() >= 2:
        chosen = _draw_groups(groups, settings.val, settings.seed)
        split[groups.index[groups.isin(chosen)]] = "val"
    return split


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
    from sklearn.model_selection import GroupShuffleSplit  # takes a second to import, in every process

    number = int(np.clip(round(share * groups.nunique()), 1, groups.nunique() - 1))
    splitter = GroupShuffleSplit(n_splits=1, test_size=number, random_state=seed)
    _, rows = next(splitter.split(groups, groups=groups))
    return set(groups.iloc[rows])
