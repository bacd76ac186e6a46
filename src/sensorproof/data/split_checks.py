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
