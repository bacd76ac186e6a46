"""Protocol "all subsets": absent sensors are left out of the fusion; the score is the mean over all subsets."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from sensorproof.data.dataset import TensorBatch
from sensorproof.data.metadata import IGNORE
from sensorproof.documents.evaluation import FIGURES_AND_SPREAD
from sensorproof.documents.runs import Scores
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.metrics import class_iou, confusion, mean_iou
from sensorproof.models import Segmenter


def all_subsets(sensors: Iterable[str]) -> list[tuple[str, ...]]:
    """List the 2^M - 1 non-empty subsets, each sorted by name, smaller ones first.

    Examples:
        >>> all_subsets(["rgb", "depth"])
        [('depth',), ('rgb',), ('depth', 'rgb')]
    """
    names = sorted(sensors)
    return [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]


def subset_name(subset: Iterable[str]) -> str:
    """Name a subset: its sorted sensors joined by `+`.

    Examples:
        >>> subset_name(["rgb", "depth"])
        'depth+rgb'
    """
    return "+".join(sorted(subset))


@dataclass(frozen=True)
class SubsetScores:
    """The scores of one model with every subset of its sensors, in points (0 to 100).

    Examples:
        >>> scores = SubsetScores({"camera": 40.0, "depth": 20.0, "camera+depth": 60.0}, {}, {})
        >>> scores.full, scores.mean, scores.worst
        (60.0, 40.0, 20.0)
    """

    subsets: dict[str, float]
    """{subset: mIoU}."""
    per_class: dict[str, dict[str, float | None]]
    """{subset: {class: IoU}}; None for a class that the ground truth does not have."""
    support: dict[str, int]
    """{class: pixels in the ground truth}."""

    @property
    def full(self) -> float:
        """With all sensors."""
        return self.subsets[max(self.subsets, key=lambda name: name.count("+"))]

    @property
    def mean(self) -> float:
        """Unweighted mean over the subsets."""
        return float(np.mean(list(self.subsets.values())))

    @property
    def selection_score(self) -> float:
        """The mean of `full` and `mean`: strengths are tuned by it, as promotion depends on both."""
        return (self.full + self.mean) / 2

    @property
    def worst(self) -> float:
        """Of the worst subset."""
        return min(self.subsets.values())

    @property
    def spread(self) -> float:
        """Standard deviation over the subsets."""
        return float(np.std(list(self.subsets.values())))

    def __str__(self) -> str:
        return f"mIoU full {self.full:.1f}, mean {self.mean:.1f}, worst {self.worst:.1f}"

    def to_document(self) -> Scores:
        """Return the scores as a document."""
        return Scores(
            **{figure: getattr(self, figure) for figure in FIGURES_AND_SPREAD},
            subsets=self.subsets,
            per_class=self.per_class,
            support=self.support,
        )


@torch.inference_mode()
def score_subsets(
    model: Segmenter, batches: Iterable[TensorBatch], classes: list[str], ignore_index: int = IGNORE
) -> SubsetScores:
    """Score a model with every subset of its sensors, encoding each sensor once per frame.

    A frame that lacks a sensor is scored, in the subsets with that sensor, with the others of the subset. Where it has
    no sensor of a subset, it does not count there.

    Args:
        model: in any mode; it is left in evaluation mode.
        batches: on the model's device.
        classes: names, in the order of the logits.
        ignore_index: marks pixels of the target that do not count.

    Raises:
        SensorproofError: a subset has no frame to score.
    """
    model.eval()
    matrices: dict[tuple[str, ...], Tensor] = {}
    for batch in batches:
        features = model.encode(batch.inputs)
        for subset in all_subsets(model.sensors):
            available = {name: features[name] for name in subset if name in features}
            if not available:
                continue
            scorable = torch.stack([batch.present[name] for name in available]).any(0)
            logits = model.decode(available, batch.present, batch.target.shape[-2:])
            counts = confusion(logits[scorable], batch.target[scorable], ignore_index)
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
