"""Scores of label maps with every subset of the sensors, whatever model they come from."""

import numpy as np
import torch
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo
from sensorproof.data.metadata import IGNORE
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.metrics import class_iou, mean_iou
from sensorproof.evaluation.subsets import SubsetScores, all_subsets, subset_name

Subset = tuple[str, ...]


class LabelScores:
    """One confusion matrix a subset, over all frames: rows truth, columns prediction, the last column for no class.

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
        valid = truth != IGNORE
        rows = truth[valid].astype(np.int64) * (len(self.names) + 1)
        flat = {}
        for subset, places in predicted.items():
            columns = np.where(places < 0, len(self.names), places)[valid]
            flat[subset] = np.bincount(rows + columns, minlength=self.counts[self.sensors].size)
        available = {name for subset in predicted for name in subset}
        for subset, matrix in self.counts.items():
            kept = tuple(name for name in subset if name in available)
            if kept:
                matrix += flat[kept].reshape(matrix.shape)

    def scores(self, where: object) -> SubsetScores:
        """Return IoU and mIoU of every subset, in points.

        Args:
            where: what was scored, for the message.

        Raises:
            SensorproofError: a subset has no frame.
        """
        if empty := [subset for subset, matrix in self.counts.items() if not matrix.any()]:
            fault = f"no frame to score with {subset_name(empty[0])}"
            raise SensorproofError(str(where), fault, "give labelled frames with these sensors")
        # A row of zeros makes the matrix square: "no class" has no ground truth and no IoU.
        square = {subset_name(s): torch.from_numpy(np.vstack([m, 0 * m[:1]])) for s, m in self.counts.items()}
        per_class = {name: dict(zip(self.names, class_iou(m)[:-1], strict=True)) for name, m in square.items()}
        support = dict(zip(self.names, self.counts[self.sensors].sum(1).tolist(), strict=True))
        return SubsetScores({name: mean_iou(m) for name, m in square.items()}, per_class, support)
