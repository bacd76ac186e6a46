"""From the decoder's coarse logits to a class and a confidence for each pixel of a large image."""

import torch
from torch import Tensor

from sensorproof.resizing import enlarge

_MOST_LOGITS = 2**24
"""Logits that are enlarged at once: 64 MiB of them."""


def classify(coarse: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the class and the probability of each pixel.

    A large image is done class by class, so that its memory does not grow with the number of classes.

    Args:
        coarse: logits (B, K, h, w), from `Segmenter.decode_coarsely`.
        size: (H, W) of the result.

    Returns:
        The places of the classes (B, H, W), int64, and their probabilities (B, H, W), float32.
    """
    if coarse.shape[:2].numel() * size[0] * size[1] <= _MOST_LOGITS:
        logits = enlarge(coarse, size)
        best, places = logits.max(1)
        return places, (best - logits.logsumexp(1)).exp()
    best = enlarge(coarse[:, :1], size)[:, 0]
    places = torch.zeros_like(best, dtype=torch.int64)
    total = torch.ones_like(best)
    for k in range(1, coarse.shape[1]):
        logit = enlarge(coarse[:, k : k + 1], size)[:, 0]
        higher = torch.maximum(best, logit)
        total = total * (best - higher).exp() + (logit - higher).exp()
        places[logit > best] = k
        best = higher
    return places, 1 / total
