"""Scores of label maps with every subset of the sensors, whatever model they come from."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo
from sensorproof.data.metadata import IGNORE
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.metrics import class_iou, mean_of_classes
from sensorproof.evaluation.subsets import SubsetScores, all_subsets, subset_name

Subset = tuple[str, ...]
Matrix = NDArray[np.int64]
"""(K, K + 1) pixels: rows truth, columns prediction, the last column for no class."""


def label_matrix(places: NDArray[np.int64], truth: NDArray[np.uint8], classes: int) -> Matrix:
    """Count the pixels of one label map.

    Args:
        places: (H, W), the places of the predicted classes, -1 for no class.
        truth: (H, W), places or IGNORE.
        classes: their number, K.
    """
    valid = truth != IGNORE
    rows = truth[valid].astype(np.int64) * (classes + 1)
    columns = np.where(places < 0, classes, places)[valid]
    return np.bincount(rows + columns, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def matrix_iou(matrix: Matrix) -> list[float | None]:
    """Compute the IoU of each class in points; None for a class that the ground truth does not have."""
    # A row of zeros makes the matrix square: "no class" has no ground truth and no IoU.
    return class_iou(torch.from_numpy(np.vstack([matrix, 0 * matrix[:1]])))[:-1]


class LabelScores:
    """One matrix of pixels a subset, over all frames.

    Args:
        sensors: all sensors, sorted.
        info: the batch's classes.
    """

    def __init__(self, sensors: Subset, info: BatchInfo) -> None:
        self.sensors, self.names = sensors, [c.name for c in info.classes]
        shape = len(self.names), len(self.names) + 1
        self.counts = {subset: np.zeros(shape, np.int64) for subset in all_subsets(sensors)}

    def add(self, predicted: dict[Subset, NDArray[np.int64]], truth: NDArray[np.uint8]) -> None:
        """Count one frame.

        A frame that lacks a sensor counts, in the subsets with that sensor, with the others of the subset.

        Args:
            predicted: {subset of the frame's own sensors: (H, W) places in `classes`, -1 for no class}.
            truth: (H, W), places in `classes` or IGNORE.
        """
        counted = {subset: label_matrix(places, truth, len(self.names)) for subset, places in predicted.items()}
        available = {name for subset in predicted for name in subset}
        for subset, matrix in self.counts.items():
            kept = tuple(name for name in subset if name in available)
            if kept:
                matrix += counted[kept]

    def scores(self, where: object) -> SubsetScores:
        """Return IoU and mIoU of every subset, in points.

        Args:
            where: what was scored, for the message.

        Raises:
            SensorproofError: a subset has no frame.
        """
        return score_matrices(self.counts, self.names, where)


def score_matrices(counts: Mapping[Subset, Matrix], classes: Sequence[str], where: object) -> SubsetScores:
    """Return IoU and mIoU of every subset, in points.

    Args:
        counts: of each subset; the ground truth is that of the last.
        classes: their names, in the order of the rows.
        where: what was scored, for the message.

    Raises:
        SensorproofError: a subset has no frame.
    """
    if empty := [subset for subset, matrix in counts.items() if not matrix.any()]:
        fault = f"no frame to score with {subset_name(empty[0])}"
        raise SensorproofError(str(where), fault, "give labelled frames with these sensors")
    iou = {subset_name(subset): matrix_iou(matrix) for subset, matrix in counts.items()}
    per_class = {name: dict(zip(classes, values, strict=True)) for name, values in iou.items()}
    last = list(counts.values())[-1]
    support = dict(zip(classes, last.sum(1).tolist(), strict=True))
    return SubsetScores({name: mean_of_classes(values) for name, values in iou.items()}, per_class, support)
