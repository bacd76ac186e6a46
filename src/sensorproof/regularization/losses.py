"""Cross-entropy per sample over the valid pixels: the function f of the regulariser."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sensorproof.resizing import resize

_DAMPING = 1.0
"""Nats per pixel that are added to f in its logarithm. Without them the gradient of a sample grows as 1 / f while the
sample is learnt, and a small training set would be fitted to its last pixel; below this value it stops growing."""


def to_float32(x: Tensor) -> Tensor:
    """Return the tensor in at least float32: half precision is widened, double precision stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def sample_cross_entropy(
    logits: Tensor, target: Tensor, ignore_index: int, class_balance: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy of each sample over its valid pixels, in nats, in at least float32.

    Args:
        logits: (B, K, h, w); resized to the target if the size differs.
        target: (B, H, W), classes or ignore_index.
        ignore_index: label of pixels that do not count.
        class_balance: 0 weighs the pixels of a sample alike, 1 its classes; see `pixel_weights`.

    Returns:
        (B,) the losses, 0 for a sample without a valid pixel, and (B,) the number of valid pixels.
    """
    losses = cross_entropy(
        to_float32(resize(logits, target.shape[-2:])), target, ignore_index=ignore_index, reduction="none"
    )
    valid = (target != ignore_index).flatten(1).sum(1)
    if not class_balance:
        return losses.flatten(1).sum(1) / valid.clamp_min(1), valid
    weights = pixel_weights(target, logits.shape[1], ignore_index, class_balance).to(losses)
    return (losses * weights).flatten(1).sum(1), valid


def pixel_weights(target: Tensor, classes: int, ignore_index: int, class_balance: float) -> Tensor:
    """Return the weights of the pixels in the mean over a sample, with which rare classes count more.

    A pixel has the weight n ** -class_balance, n being the number of the sample's pixels of its class. The ratio of
    weights depends on the shares of the classes, not on the resolution.

    Args:
        target: (B, H, W), classes or ignore_index.
        classes: number of classes K.
        ignore_index: label of pixels that do not count.
        class_balance: 0 weighs pixels alike, 1 classes alike.

    Returns:
        (B, H, W), float32. Those of a sample sum to 1, or to 0 if it has no valid pixel. Ignored pixels have 0.
    """
    samples = torch.arange(len(target), device=target.device)[:, None, None]
    slots = torch.where(target == ignore_index, classes, target) + samples * (classes + 1)
    counts = torch.bincount(slots.flatten(), minlength=len(target) * (classes + 1)).reshape(len(target), -1)
    weights = counts.clamp_min(1).float() ** -class_balance
    weights[:, classes] = 0.0
    weights = weights / (weights * counts).sum(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    return weights.flatten()[slots]


def batch_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int, class_balance: float = 0.0) -> Tensor:
    """Return the plain segmentation loss: the mean over all valid pixels of the batch, a scalar.

    With `class_balance`, a pixel's weight within its sample is that of `pixel_weights`.
    """
    losses, valid = sample_cross_entropy(logits, target, ignore_index, class_balance)
    return (losses * valid).sum() / valid.sum().clamp_min(1)


def damped_log(f: Tensor) -> Tensor:
    """Return log(f + 1) for f in nats per pixel."""
    return (f + _DAMPING).log()
