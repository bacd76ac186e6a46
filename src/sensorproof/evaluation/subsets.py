"""Protocol "all subsets": absent sensors are left out of the fusion, the score is the mean over all subsets."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sensorproof.data.dataset import TensorBatch
from sensorproof.data.metadata import IGNORE
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.metrics import class_iou, confusion, mean_iou
from sensorproof.models import Segmenter


def all_subsets(sensors: Iterable[str]) -> list[tuple[str, ...]]:
    """The 2^M - 1 non-empty subsets, each sorted by name, smaller ones first."""
    names = sorted(sensors)
    return [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]


def subset_name(subset: Iterable[str]) -> str:
    """`depth+rgb`: sorted sensor names joined by +."""
    return "+".join(sorted(subset))


@dataclass(frozen=True)
class SubsetScores:
    """mIoU in points of each subset, IoU of each class by name, and pixels of each class in the ground truth."""

    subsets: dict[str, float]
    per_class: dict[str, dict[str, float | None]]
    support: dict[str, int]

    @property
    def full(self) -> float:
        """All sensors present."""
        return self.subsets[max(self.subsets, key=lambda name: name.count("+"))]

    @property
    def mean(self) -> float:
        """Unweighted mean over the subsets."""
        return float(np.mean(list(self.subsets.values())))

    @property
    def selection_score(self) -> float:
        """What strengths are tuned by: the mean of `full` and `mean`, as a promotion looks at both."""
        return (self.full + self.mean) / 2

    @property
    def worst(self) -> float:
        return min(self.subsets.values())

    @property
    def spread(self) -> float:
        """Standard deviation over the subsets."""
        return float(np.std(list(self.subsets.values())))

    def __str__(self) -> str:
        return f"mIoU full {self.full:.1f}, mean {self.mean:.1f}, worst {self.worst:.1f}"

    def to_json(self) -> dict[str, Any]:
        return {
            "full": self.full,
            "mean": self.mean,
            "worst": self.worst,
            "spread": self.spread,
            "subsets": self.subsets,
            "per_class": self.per_class,
            "support": self.support,
        }


@torch.inference_mode()
def score_subsets(
    model: Segmenter, batches: Iterable[TensorBatch], classes: list[str], ignore_index: int = IGNORE
) -> SubsetScores:
    """Score a model with every subset of its sensors, encoding each sensor once per frame.

    A frame that lacks a sensor counts, in the subsets with that sensor, with the others of the subset; in a
    subset of which it has none it cannot be scored and does not count.

    Raises:
        SensorproofError: a subset has no frame to score.
    """
    model.eval()
    matrices: dict[tuple[str, ...], Tensor] = {}
    for batch in batches:
        features = model.encode(batch.inputs)
        for subset in all_subsets(model.sensors):
            here = {name: features[name] for name in subset if name in features}
            if not here:
                continue
            seen = torch.stack([batch.present[name] for name in here]).any(0)
            logits = model.decode(here, batch.present, batch.target.shape[-2:])
            counts = confusion(logits[seen], batch.target[seen], ignore_index)
            matrices[subset] = matrices.get(subset, 0) + counts.cpu()
    for subset in all_subsets(model.sensors):
        if subset not in matrices or not matrices[subset].any():
            fix = "give frames with labels and these sensors"
            raise SensorproofError("evaluation", f"no frame to score with {subset_name(subset)}", fix)
    named = {subset_name(subset): matrix for subset, matrix in matrices.items()}
    per_class = {name: dict(zip(classes, class_iou(matrix), strict=True)) for name, matrix in named.items()}
    full = named[subset_name(model.sensors)]
    support = dict(zip(classes, full.sum(1).tolist(), strict=True))
    return SubsetScores({name: mean_iou(matrix) for name, matrix in named.items()}, per_class, support)
