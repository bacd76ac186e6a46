"""Checks before any training: every split must show every sensor, and the training split at least two classes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo
from sensorproof.data.frame_table import SPLITS
from sensorproof.errors import SensorproofError

_SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
LabelCounts = Mapping[str, NDArray[np.int64]]
"""{split: (256,) pixels of each value of the labels as stored}."""


def check_splits(where: str, frames: pd.DataFrame) -> None:
    """Check that every split has a labelled frame without a fault.

    Args:
        where: the raw data, for the message.
        frames: frames.csv of the prepared data.

    Raises:
        SensorproofError: a split has none.
    """
    good, faulty = frames[frames.fault == ""], frames[frames.fault != ""]
    for split in SPLITS:
        if not (good.split == split).any():
            fix = "give enough labelled sequences for train, val and test, or a split column in frames.csv"
            why = f" ({len(faulty)} frames have faults, such as {faulty.fault.iloc[0]})" if len(faulty) else ""
            raise SensorproofError(where, f"no labelled frame for {split}{why}", fix)


def check_sensors(where: str, frames: pd.DataFrame, sensors: Sequence[str]) -> None:
    """Check that every sensor is in a labelled frame of every split.

    A sensor that no training frame has cannot be learnt, and one that no other split has cannot be scored.

    Args:
        where: the raw data, for the message.
        frames: frames.csv of the prepared data, or those of its rows that are not in quarantine.
        sensors: the names of all sensors.

    Raises:
        SensorproofError: a sensor is missing from a split. The one message names all of them.
    """
    used = frames[(frames.fault == "") & frames.labelled]
    faults = []
    for name in sensors:
        present = used[used[f"present_{name}"]]
        lacking = [_SPLIT_NAMES[split] for split in SPLITS if not (present.split == split).any()]
        if len(lacking) == len(SPLITS):
            faults.append(f"{name} is in no labelled frame")
        elif lacking:
            faults.append(f"{name} is in no {' and no '.join(lacking)} frame")
    if faults:
        fix = "give frames with it, set the split column in frames.csv, or remove the sensor from batch.yaml"
        raise SensorproofError(where, "; ".join(faults), fix)


def check_classes(where: str, info: BatchInfo, counts: LabelCounts) -> list[str]:
    """Check that the training labels show at least two classes; describe classes without a training pixel.

    Args:
        where: the raw data, for the message.
        info: the classes and the ignore index.
        counts: of the labels of all usable frames.

    Returns:
        A line for each class that no training pixel shows.

    Raises:
        SensorproofError: fewer than two classes are in the training labels, so there is nothing to tell apart.
    """
    train = counts["train"]
    everywhere = np.sum([counts[split] for split in SPLITS], axis=0)
    absent = [c for c in info.classes if not train[c.id]]
    hint = _hint(info, everywhere)
    lines = [
        f"class {c.name!r} has no pixel in any label{hint}"
        if not everywhere[c.id]
        else f"class {c.name!r} has no pixel in the training labels, only in others: it cannot be learnt"
        for c in absent
    ]
    if len(info.classes) - len(absent) < 2:
        fix = "correct `classes` and `ignore_index` in batch.yaml, or the labels"
        raise SensorproofError(where, f"the training labels show fewer than two classes: {'; '.join(lines)}", fix)
    return lines


def check_copies(where: str, frames: pd.DataFrame, contents: Sequence[str]) -> list[str]:
    """Check that no frame is in two splits under two names.

    Args:
        where: the raw data, for the message.
        frames: frames.csv of the prepared data.
        contents: for each row, a hash of what all its images show; empty where there is no hash.

    Returns:
        A line if frames of one split are copies of each other in different sequences: they count twice.

    Raises:
        SensorproofError: a frame of one split is a copy of one in another split.
    """
    used = frames.assign(content=list(contents))
    used = used[(used.content != "") & (used.fault == "") & used.labelled]
    groups = used.groupby("content")
    across = used[groups["split"].transform("nunique") > 1]
    if len(across):
        rows = across[across.content == across.content.iloc[0]].drop_duplicates("split").iloc[:2]
        first, second = (f"{row.frame_id!r} of {row.batch} ({row.split})" for row in rows.itertuples())
        count = across.content.nunique()
        fault = f"the same frame is in more than one split, such as {first} and {second} ({count} in all)"
        raise SensorproofError(where, fault, "they show the same, pixel for pixel: remove one of each pair")
    twice = used[(groups["batch"].transform("nunique") > 1) | (groups["sequence"].transform("nunique") > 1)]
    if not len(twice):
        return []
    count = twice.content.nunique()
    return [f"the same frame is there more than once, such as {twice.frame_id.iloc[0]!r} ({count} in all)"]


def _hint(info: BatchInfo, counts: NDArray[np.int64]) -> str:
    """Say that the ignored value may be the class, where labels have it."""
    ignored, total = int(counts[info.ignore_index]), int(counts.sum())
    if not ignored:
        return ""
    share = f"{100 * ignored / total:.1f} %"
    return (
        f" ({share} of the label pixels are {info.ignore_index}, which is ignore_index: if that is the class, give it "
        "this id and ignore_index another value)"
    )
