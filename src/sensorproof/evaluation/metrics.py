"""Intersection over union from one confusion matrix over a whole split."""

import math

import torch
from torch import Tensor


def confusion(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Count pixels: entry (i, j) is the number with truth i predicted as j.

    Args:
        logits: (B, K, H, W).
        target: (B, H, W), values 0 … K-1 or ignore_index.

    Returns:
        (K, K), int64.
    """
    classes = logits.shape[1]
    valid = target != ignore_index
    pairs = target[valid].long() * classes + logits.argmax(1)[valid]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(matrix: Tensor) -> list[float | None]:
    """IoU of each class in points (0-100); None for a class that the ground truth does not have."""
    hits = matrix.diagonal().double()
    support = matrix.sum(1).double()
    union = support + matrix.sum(0) - hits
    return [100 * float(h / u) if s > 0 else None for h, u, s in zip(hits, union, support, strict=True)]


def mean_iou(matrix: Tensor) -> float:
    """Mean IoU in points over the classes that the ground truth has; NaN where it has none."""
    values = [v for v in class_iou(matrix) if v is not None]
    return math.fsum(values) / len(values) if values else math.nan
