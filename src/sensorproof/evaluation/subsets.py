"""Protocol "all subsets": absent sensors are left out of the fusion; the score is the mean over all subsets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.dataset import TensorBatch
from sensorproof.data.metadata import IGNORE
from sensorproof.documents.evaluation import FIGURES_AND_SPREAD
from sensorproof.documents.runs import Scores
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.metrics import FrameCounter, iou_of_counts, mean_of_classes
from sensorproof.models import Segmenter
from sensorproof.models.windows import AnySegmenter

Observer = Callable[[str, Tensor, Tensor, Tensor, int], None]
"""Sees a subset's name, logits (B, K, H, W), target (B, H, W), which frames count (B,), and what marks other pixels."""


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
def count_subsets(
    model: AnySegmenter,
    batches: Iterable[TensorBatch],
    ignore_index: int = IGNORE,
    observe: Observer | None = None,
) -> NDArray[np.uint32]:
    """Count, for every frame and subset of the sensors, the pixels that the scores are made of.

    Each sensor is encoded once per frame, or once per window. A frame that lacks a sensor is scored, in the subsets
    with that sensor, with the others of the subset. Where it has no sensor of a subset, its counts are 0.

    Args:
        model: in any mode; it is left in evaluation mode.
        batches: on the model's device.
        ignore_index: marks pixels of the target that do not count.
        observe: is called with each subset and batch; see `calibration.CalibrationCounts.add`.

    Returns:
        (F, S, K, 3): frames in order, subsets as `all_subsets` has them, classes, and see `metrics.frame_counts`.
    """
    model.eval()
    parts = []
    for batch in batches:
        subsets: list[Tensor | None] = []
        counter: FrameCounter | None = None
        available = [tuple(name for name in subset if name in batch.inputs) for subset in all_subsets(model.sensors)]
        size = batch.target.shape[-2:]
        given = [each for each in available if each]
        decoded = model.decode_subsets(model.encode(batch.inputs), batch.present, given, size)
        for subset, names in zip(all_subsets(model.sensors), available, strict=True):
            if not names:
                subsets.append(None)
                continue
            scorable = torch.stack([batch.present[name] for name in names]).any(0)
            logits = next(decoded)
            counter = counter or FrameCounter(batch.target, logits.shape[1], ignore_index)
            counts = counter.count(logits)
            if observe is not None:
                observe(subset_name(subset), logits, batch.target, scorable, ignore_index)
            subsets.append((counts * scorable.reshape(-1, 1, 1)).cpu())
        known = next((counts for counts in subsets if counts is not None), None)
        if known is None:
            raise _no_frame(subset_name(model.sensors))
        whole = torch.stack([torch.zeros_like(known) if counts is None else counts for counts in subsets], dim=1)
        parts.append(whole.numpy().astype(np.uint32))
    return np.concatenate(parts)


def score_counts(counts: NDArray[np.uint32], sensors: Iterable[str], classes: Sequence[str]) -> SubsetScores:
    """Compute the scores of counts, summed over their frames.

    Args:
        counts: (F, S, K, 3), from `count_subsets`.
        sensors: of the model.
        classes: names, in the order of the logits.

    Raises:
        SensorproofError: a subset has no frame to score.
    """
    names = [subset_name(subset) for subset in all_subsets(sensors)]
    totals = torch.from_numpy(counts.sum(0, dtype=np.int64))
    for name, total in zip(names, totals, strict=True):
        if not total[:, 1].any():
            raise _no_frame(name)
    iou = {name: iou_of_counts(total) for name, total in zip(names, totals, strict=True)}
    per_class = {name: dict(zip(classes, values, strict=True)) for name, values in iou.items()}
    support = dict(zip(classes, totals[-1, :, 1].tolist(), strict=True))
    return SubsetScores({name: mean_of_classes(values) for name, values in iou.items()}, per_class, support)


def _no_frame(subset: str) -> SensorproofError:
    """Return the error that no frame can be scored with a subset."""
    return SensorproofError(
        "evaluation", f"no frame to score with {subset}", "give frames with labels and these sensors"
    )


def score_subsets(
    model: Segmenter, batches: Iterable[TensorBatch], classes: list[str], ignore_index: int = IGNORE
) -> SubsetScores:
    """Score a model with every subset of its sensors; see `count_subsets` for the arguments.

    Args:
        model: in any mode; it is left in evaluation mode.
        batches: on the model's device.
        classes: names, in the order of the logits.
        ignore_index: marks pixels of the target that do not count.

    Raises:
        SensorproofError: a subset has no frame to score.
    """
    return score_counts(count_subsets(model, batches, ignore_index), model.sensors, classes)
