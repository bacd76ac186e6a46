"""Cross-entropy per sample over the pixels that count: the f of all that follows."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

_DAMPING = 1.0
"""Nats a pixel that are added to f in its logarithm. The pull of a sample grows as 1 / f while it is learnt, and a
small training set would be fitted to its last pixel; from about here on it no longer grows."""


def to_float32(x: Tensor) -> Tensor:
    """The tensor in float32 at least: half precision is widened, double stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def sample_cross_entropy(
    logits: Tensor, target: Tensor, ignore_index: int, class_balance: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each sample over its valid pixels, in nats and in float32 or more.

    Args:
        logits: (B, K, h, w); resized to the target where the size differs.
        target: (B, H, W), classes or ignore_index.
        class_balance: 0 weighs the pixels of a sample alike, 1 its classes; see `pixel_weights`.

    Returns:
        (B,) the losses, 0 where a sample has no valid pixel, and (B,) the number of valid pixels.
    """
    if logits.shape[-2:] != target.shape[-2:]:
        logits = interpolate(logits, size=target.shape[-2:], mode="bilinear", align_corners=False)
    losses = cross_entropy(to_float32(logits), target, ignore_index=ignore_index, reduction="none")
    valid = (target != ignore_index).flatten(1).sum(1)
    if not class_balance:
        return losses.flatten(1).sum(1) / valid.clamp_min(1), valid
    weights = pixel_weights(target, logits.shape[1], ignore_index, class_balance).to(losses)
    return (losses * weights).flatten(1).sum(1), valid


def pixel_weights(target: Tensor, classes: int, ignore_index: int, class_balance: float) -> Tensor:
    """Weights of the pixels in the mean over a sample, so that rare classes are not drowned by common ones.

    A pixel's weight is n ** -class_balance, n the number of the sample's pixels of its class. The ratio of weights
    depends on the shares of the classes, not on the resolution.

    Args:
        target: (B, H, W), classes or ignore_index.

    Returns:
        (B, H, W), float32; those of a sample sum to 1, or to 0 where it has no valid pixel. Ignored pixels have 0.
    """
    samples = torch.arange(len(target), device=target.device)[:, None, None]
    slots = torch.where(target == ignore_index, classes, target) + samples * (classes + 1)
    counts = torch.bincount(slots.flatten(), minlength=len(target) * (classes + 1)).reshape(len(target), -1)
    each = counts.clamp_min(1).float() ** -class_balance
    each[:, classes] = 0.0
    each = each / (each * counts).sum(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    return each.flatten()[slots]


def batch_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int, class_balance: float = 0.0) -> Tensor:
    """The plain segmentation loss: the mean over all valid pixels of the batch, a scalar.

    With `class_balance` a pixel's weight within its sample is that of `pixel_weights`.
    """
    losses, valid = sample_cross_entropy(logits, target, ignore_index, class_balance)
    return (losses * valid).sum() / valid.sum().clamp_min(1)


def damped_log(f: Tensor) -> Tensor:
    """log(f + DAMPING) for f in nats a pixel."""
    return (f + _DAMPING).log()


def presence(names: list[str], present: Mapping[str, Tensor] | None, like: Tensor) -> dict[str, Tensor]:
    """{sensor: (B,) bool}, with True for sensors that `present` does not name."""
    everywhere = torch.ones(len(like), dtype=torch.bool, device=like.device)
    return {name: everywhere if present is None else present.get(name, everywhere) for name in names}
