"""Prepared data without the test split: what the search sees, divided into folds of whole sites."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.frame_table import Split
from sensorproof.errors import SensorproofError
from sensorproof.hashing import hash_json

_CHUNK = 256
"""Rows that are hashed at a time."""
_SEED = 0
"""Of the division into folds."""


class RowView:
    """Some rows of an array, renumbered from 0. No number leads to another row.

    Args:
        array: (N, …), which may lie on disk.
        rows: (R,) those to show, in this order.
    """

    def __init__(self, array: NDArray[Any], rows: NDArray[np.int64]) -> None:
        def read(index: Any) -> NDArray[Any]:
            return np.asarray(array[rows[index]])

        self._read, self._length = read, len(rows)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return self._read(index)


class SearchData(PreparedDataset):
    """Training and validation frames of one fold; the test frames are not in it under any number.

    Standardisation keeps the means of the whole training split, which stage prepare wrote.

    Args:
        root: the folder of stage prepare.
        quarantined: see `PreparedDataset`.
        folds: wanted number of folds; fewer if there are fewer sites, and 1 if there is one site only.
        fold: the one to show. Fold 0 of 1 is the validation split; otherwise the sites of training and validation are
            divided, and each fold is scored on its part and trained on the others.

    Raises:
        SensorproofError: a split has no labelled frame, or see `PreparedDataset`.
    """

    def __init__(self, root: Path, quarantined: Path | None = None, folds: int = 1, fold: int = 0) -> None:
        super().__init__(root, quarantined)
        frames = self.frames[self.frames.split.isin(["train", "val"])]
        kept = frames.index.to_numpy(dtype=np.int64)
        self.frames = _assign_fold(frames.reset_index(drop=True), folds, fold)
        self.stored_rows = kept
        self.present = {name: values[kept] for name, values in self.present.items()}
        views: dict[str, Any] = {name: RowView(array, kept) for name, array in self.images.items()}
        labels: Any = RowView(self.labels, kept)
        self.images, self.labels = views, labels
        self.meta = self.meta.model_copy(update={"frames": {n: self.meta.frames.get(n, 0) for n in ("train", "val")}})

    def rows(self, split: Split) -> NDArray[np.int64]:
        """Return the rows of the labelled frames of `train` or `val`.

        Raises:
            SensorproofError: there is none, or the split is `test`.
        """
        if split == "test":
            raise SensorproofError("search", "asked for the test split", "choose settings on validation data")
        return super().rows(split)

    @cached_property
    def digest(self) -> str:
        """A hash of all that the search can see, whatever the fold; a change in the test split does not change it."""
        parts = hashlib.sha256()
        arrays = [*(self.images[name] for name in self.sensors), self.labels]
        for array in arrays:
            for start in range(0, len(array), _CHUNK):
                parts.update(np.ascontiguousarray(array[np.arange(start, min(start + _CHUNK, len(array)))]).data)
        table = self.frames.drop(columns="split").to_csv(index=False)
        return hash_json([self.meta.model_dump(mode="json"), table, parts.hexdigest()])

    @property
    def schema(self) -> str:
        """A hash of what settings carry over to: the sensors' kinds and channels, and the classes."""
        sensors = {name: [sensor.kind, sensor.channels] for name, sensor in self.meta.sensors.items()}
        return hash_json([sensors, self.meta.class_names])

    @property
    def validation_sites(self) -> tuple[str, ...]:
        """The sites on whose labelled frames the fold is scored."""
        return tuple(sorted({str(site) for site in self.frames.loc[self.rows("val")].site}))


def open_folds(root: Path, quarantined: Path | None, folds: int) -> list[SearchData]:
    """Open every fold; see `SearchData`."""
    first = SearchData(root, quarantined, folds, 0)
    return [first, *(SearchData(root, quarantined, folds, k) for k in range(1, count_folds(first.frames, folds)))]


def count_folds(frames: pd.DataFrame, wanted: int) -> int:
    """Return how many folds the labelled sites allow."""
    sites = int(frames[frames.labelled].site.nunique())
    return min(wanted, sites) if sites > 1 else 1


def _assign_fold(frames: pd.DataFrame, folds: int, fold: int) -> pd.DataFrame:
    """Return the frames with the column `split` as the fold has it."""
    number = count_folds(frames, folds)
    if number == 1:
        return frames
    labelled = frames[frames.labelled]
    splitter = GroupKFold(n_splits=number, shuffle=True, random_state=_SEED)
    _, scored = list(splitter.split(labelled, groups=labelled.site))[fold]
    sites = set(labelled.iloc[scored].site)
    side: Literal["split"] = "split"
    return frames.assign(**{side: np.where(frames.site.isin(sites), "val", "train")})
