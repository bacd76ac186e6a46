"""Online hard example mining: the loss of pixels that the model still gets wrong (Shrivastava et al., CVPR 2016)."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sensorproof.regularization.losses import pixel_weights, to_float32
from sensorproof.resizing import resize

FEWEST = 16
"""At least one of so many valid pixels of a sample counts, the hardest, as in the code of CMX and CMNeXt."""


def hard_cross_entropy(
    logits: Tensor, target: Tensor, ignore_index: int, class_balance: float, probability: float
) -> Tensor:
    """Return the cross-entropy over the hard pixels, a scalar: the mean over samples, by their valid pixels.

    Hard is a pixel whose true class has at most `probability`. They are chosen sample by sample, so that the result
    does not depend on how a batch is shared out.

    Args:
        logits: (B, K, h, w); resized to the target if the size differs.
        target: (B, H, W), classes or ignore_index.
        ignore_index: label of pixels that do not count.
        class_balance: of the hard pixels of a sample; see `losses.pixel_weights`.
        probability: above 0, below 1.
    """
    losses = cross_entropy(
        to_float32(resize(logits, target.shape[-2:])), target, ignore_index=ignore_index, reduction="none"
    ).flatten(1)
    valid = (target != ignore_index).flatten(1)
    counts = valid.sum(1)
    with torch.no_grad():
        ranked = losses.masked_fill(~valid, -1.0).sort(1, descending=True).values
        least = (counts // FEWEST).clamp_min(1)[:, None] - 1
        limit = ranked.gather(1, least).clamp_max(-math.log(probability))
        weights = (valid & (losses >= limit)).to(losses)
        if class_balance:
            weights = weights * pixel_weights(target, logits.shape[1], ignore_index, class_balance).flatten(1)
        weights = weights / weights.sum(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    return ((losses * weights).sum(1) * counts).sum() / counts.sum().clamp_min(1)
