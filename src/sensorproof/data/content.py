"""What the images of a frame show, as a hash: a recording that was only saved again is the same."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def hash_content(images: Mapping[str, NDArray[np.float32]]) -> str:
    """Return a SHA-256 (hex) over all images of a frame; empty for fewer than two: a single blank one is no proof.

    Args:
        images: {sensor: (C, H, W)}, NaN where invalid. An image without a valid pixel does not count.
    """
    shown = {name: pixels for name, pixels in images.items() if np.isfinite(pixels).any()}
    if len(shown) < 2:
        return ""
    digest = hashlib.sha256()
    for name, pixels in sorted(shown.items()):
        digest.update(f"{name} {pixels.shape}".encode())
        digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
