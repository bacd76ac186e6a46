"""Which frames train, validate and test: never single frames at random, for neighbours show the same scene."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from sensorproof.data.batch import Batch
from sensorproof.settings import SplitSettings

_WHOLE_SITES_FROM = 3
"""From this many sites on, a batch is split by sites, so that the test scores speak of unseen places."""


def assign_splits(batches: Sequence[Batch], settings: SplitSettings) -> list[pd.Series]:
    """Return for each batch, in the given order, its frames' splits (train, val, test).

    A `split` column decides where there is one. Elsewhere whole sites go to one split where the batch brings at
    least WHOLE_SITES_FROM new ones, whole sequences where it does not. Only what has a label counts: a group
    without one trains, which is to say nothing. Batches are taken in the order of their first frame, and a site
    that an earlier batch gave to one split stays there: a batch that comes later neither moves old frames nor
    shows the test's places to the training.
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
    return [splits[i] for i in range(len(batches))]


def first_time(batch: Batch) -> float:
    """The earliest time, in seconds, of any sensor in the batch; infinite where no sensor has a frame."""
    times = batch.frames[[f"{s}_time" for s in batch.sensors]].to_numpy(float)
    return float(np.min(times, where=np.isfinite(times), initial=np.inf))


def _groups_of(frames: pd.DataFrame) -> pd.Series:
    """The site of each frame, or its site and sequence where there are too few sites."""
    if frames.site.nunique() >= _WHOLE_SITES_FROM:
        return frames.site
    return frames.site + "/" + frames.sequence


def _split_groups(groups: pd.Series, labelled: pd.Series, settings: SplitSettings) -> pd.Series:
    """Give each group to one split. One labelled group trains; of two, one tests; from three on val has one as well."""
    split = pd.Series("train", index=groups.index)
    rest = groups[labelled]
    for name, share in (("test", settings.test), ("val", settings.val / (1 - settings.test))):
        if share > 0 and rest.nunique() >= 2:
            taken = chosen(rest, share, settings.seed)
            split[groups.isin(taken)] = name
            rest = rest[~rest.isin(taken)]
    return split


def chosen(groups: pd.Series, share: float, seed: int) -> set[str]:
    """About `share` of the groups, at least one and not all of them."""
    number = int(np.clip(round(share * groups.nunique()), 1, groups.nunique() - 1))
    splitter = GroupShuffleSplit(n_splits=1, test_size=number, random_state=seed)
    _, rows = next(splitter.split(groups, groups=groups))
    return set(groups.iloc[rows])
