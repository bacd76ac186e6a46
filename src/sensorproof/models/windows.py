"""Predict large images in windows that overlap: every sensor is encoded once in each, for all subsets together.

MONAI's `sliding_window_inference` does this for one tensor; here are several sensors and many subsets of them, whose
predictions would not fit into the memory together. kornia's patches are padded with zeros at the image's border, which
the model never met there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil

import torch
from torch import Tensor

from sensorproof.errors import UsageError
from sensorproof.models.segmenter import Segmenter

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Windows:
    """Windows of one size that cover an image."""

    size: Size
    overlap: float = 0.25
    """Share of a window's side that neighbours have in common at least, from 0 to less than 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise UsageError("overlap", f"is {self.overlap:g}", "give a share of the window, from 0 to less than 1")
        if min(self.size) < 1:
            raise UsageError("window", f"is {self.size[0]} x {self.size[1]}", "give height and width in pixels")

    def places(self, image: Size) -> list[Size]:
        """Return the upper left corner (row, column) of each window; the last ones end at the image's border.

        Raises:
            UsageError: the window is larger than the image.

        Examples:
            >>> Windows((4, 4), overlap=0.5).places((4, 9))
            [(0, 0), (0, 2), (0, 3), (0, 5)]
        """
        if self.size[0] > image[0] or self.size[1] > image[1]:
            fault = f"{self.size[0]} x {self.size[1]} is larger than the image, {image[0]} x {image[1]}"
            raise UsageError("window", fault, "give a smaller window, or none for the whole image")
        rows, columns = (_starts(side, own, self.overlap) for side, own in zip(image, self.size, strict=True))
        return list(product(rows, columns))


def _starts(side: int, window: int, overlap: float) -> list[int]:
    """Spread windows evenly along a side; neighbours have at least `overlap` in common."""
    step = max(1, int(window * (1 - overlap)))
    gaps = ceil((side - window) / step)
    return [round(k * (side - window) / gaps) for k in range(gaps)] + [side - window] if gaps else [0]


def predict_subsets(
    model: Segmenter,
    inputs: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    subsets: Sequence[Sequence[str]],
    size: Size | torch.Size,
    windows: Windows | None = None,
) -> Iterator[Tensor]:
    """Predict images with subsets of their sensors, each sensor encoded once in each window.

    Args:
        model: in evaluation mode.
        inputs: {sensor: (B, C, H, W)}, standardised as whole images; with windows, all of one size.
        present: {sensor: (B,) bool}.
        subsets: of the inputs.
        size: (H, W) of the result; with windows, that of the inputs.
        windows: None for the whole image. One window as large as the image is the same.

    Yields:
        For each subset logits (B, K, H, W). With windows, the logarithm of the mean of the probabilities that the
        windows give to a pixel, whose softmax they are.

    Raises:
        UsageError: the window is larger than the images.
    """
    height, width = int(size[0]), int(size[1])
    places = [(0, 0)] if windows is None else windows.places((height, width))
    if windows is None or len(places) == 1:
        yield from model.decode_subsets(model.encode(inputs), present, subsets, size)
        return
    rows, columns = windows.size
    spans = [(slice(top, top + rows), slice(left, left + columns)) for top, left in places]
    decoded = [
        model.decode_subsets(
            model.encode({n: x[..., y, x_] for n, x in inputs.items()}), present, subsets, windows.size
        )
        for y, x_ in spans
    ]
    for _ in subsets:
        total: Tensor | None = None
        for (y, x_), logits in zip(spans, decoded, strict=True):
            probabilities = next(logits).float().softmax(1)
            if total is None:
                total = probabilities.new_zeros(*probabilities.shape[:2], height, width)
                number = probabilities.new_zeros(height, width)
            total[..., y, x_] += probabilities
            number[y, x_] += 1
        assert total is not None
        yield (total / number).clamp_min(torch.finfo(total.dtype).tiny).log()
