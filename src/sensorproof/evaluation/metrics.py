"""Intersection over union from one confusion matrix over a whole split."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def confusion(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Count pixels: entry (i, j) is the number with truth i predicted as j.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W), values 0 … K-1 or ignore_index.
        ignore_index: marks pixels that do not count.

    Returns:
        (K, K), int64.

    Examples:
        Four pixels of which the last is ignored; the second is taken for class 1:

        >>> logits = torch.tensor([[[[1.0, 0.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 0.0]]]])
        >>> confusion(logits, torch.tensor([[[0, 0, 1, 255]]]), ignore_index=255).tolist()
        [[1, 1], [0, 1]]
    """
    classes = logits.shape[1]
    valid = target != ignore_index
    pairs = target[valid].long() * classes + logits.max(1).indices[valid]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def frame_counts(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Count the pixels of each frame and class: those of both truth and prediction, of the truth, of the prediction.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W), values 0 … K-1 or ignore_index.
        ignore_index: marks pixels that do not count.

    Returns:
        (B, K, 3), int64.

    Examples:
        >>> logits = torch.tensor([[[[1.0, 0.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 0.0]]]])
        >>> frame_counts(logits, torch.tensor([[[0, 0, 1, 255]]]), ignore_index=255).tolist()
        [[[1, 2, 1], [1, 1, 2]]]
    """
    return FrameCounter(target, logits.shape[1], ignore_index).count(logits)


class FrameCounter:
    """Counts the pixels of several predictions for the same frames; see `frame_counts`.

    Args:
        target: (B, H, W), values 0 … K-1 or ignore_index.
        classes: their number K.
        ignore_index: marks pixels that do not count.
    """

    def __init__(self, target: Tensor, classes: int, ignore_index: int) -> None:
        self.frames, self.classes = len(target), classes
        place = torch.arange(self.frames, device=target.device).reshape(-1, 1, 1)
        self.valid = self.frames * classes**2
        pairs = (place * classes + target.long()) * classes
        self.pairs = pairs.masked_fill(target == ignore_index, self.valid)  # beyond those that are counted

    def count(self, logits: Tensor) -> Tensor:
        """Return (B, K, 3) of logits (B, K, H, W)."""
        # max finds the place of the largest logit ten times faster than argmax does along this axis.
        counted = (self.pairs + logits.max(1).indices).flatten()
        matrices = torch.bincount(counted, minlength=self.valid)[: self.valid]
        matrices = matrices.reshape(self.frames, self.classes, self.classes)
        return torch.stack([matrices.diagonal(dim1=1, dim2=2), matrices.sum(2), matrices.sum(1)], dim=-1)


def class_iou(matrix: Tensor) -> list[float | None]:
    """Compute the IoU of each class.

    Args:
        matrix: (K, K), from `confusion`.

    Returns:
        Points (0 to 100); None for a class that the ground truth does not have.

    Examples:
        >>> class_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
        [75.0, 80.0, None]
    """
    return iou_of_counts(torch.stack([matrix.diagonal(), matrix.sum(1), matrix.sum(0)], dim=-1))


def iou_of_counts(counts: Tensor) -> list[float | None]:
    """Compute the IoU of each class from sums of `frame_counts`.

    Args:
        counts: (K, 3).

    Returns:
        Points (0 to 100); None for a class that the ground truth does not have.

    Examples:
        >>> iou_of_counts(torch.tensor([[3, 4, 3], [4, 4, 5], [0, 0, 0]]))
        [75.0, 80.0, None]
    """
    hits, support, predicted = counts.double().unbind(-1)
    union = support + predicted - hits
    return [100 * float(h / u) if s > 0 else None for h, u, s in zip(hits, union, support, strict=True)]


def mean_iou(matrix: Tensor) -> float:
    """Average the IoU over the classes that the ground truth has.

    Args:
        matrix: (K, K), from `confusion`.

    Returns:
        Points (0 to 100); NaN where the ground truth has no class.

    Examples:
        >>> mean_iou(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
        77.5
    """
    return mean_of_classes(class_iou(matrix))


def mean_of_classes(iou: Sequence[float | None]) -> float:
    """Average IoU over the classes that have one; NaN where none has.

    Examples:
        >>> mean_of_classes([75.0, 80.0, None])
        77.5
    """
    values = [v for v in iou if v is not None]
    return math.fsum(values) / len(values) if values else math.nan
