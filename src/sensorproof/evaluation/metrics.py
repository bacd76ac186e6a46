"""Intersection over union from one confusion matrix over a whole split."""

import math

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
    pairs = target[valid].long() * classes + logits.argmax(1)[valid]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


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
    hits = matrix.diagonal().double()
    support = matrix.sum(1).double()
    union = support + matrix.sum(0) - hits
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
    values = [v for v in class_iou(matrix) if v is not None]
    return math.fsum(values) / len(values) if values else math.nan
