"""Predict large images in windows that overlap: every sensor is encoded once in each, for all that is decoded of it.

MONAI's `sliding_window_inference` does this for one tensor; here are several sensors and many subsets of them, whose
predictions would not fit into the memory together. kornia's patches are padded with zeros at the image's border, which
the model never met there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.checkpoint import checkpoint

from sensorproof.errors import UsageError
from sensorproof.models.segmenter import Features, Segmenter
from sensorproof.resizing import enlarge, largest_size

Size = tuple[int, int]
"""Height and width in pixels."""
Span = tuple[slice, slice]
"""Rows and columns of a window."""
_LEAST = 1e-30
"""Added to probabilities, so that they have a logarithm."""


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

    def spans(self, image: Size) -> list[Span]:
        """Return rows and columns of each window; see `places`."""
        height, width = self.size
        return [(slice(top, top + height), slice(left, left + width)) for top, left in self.places(image)]


def _starts(side: int, window: int, overlap: float) -> list[int]:
    """Spread windows evenly along a side; neighbours have at least `overlap` in common."""
    step = max(1, int(window * (1 - overlap)))
    gaps = ceil((side - window) / step)
    return [round(k * (side - window) / gaps) for k in range(gaps)] + [side - window] if gaps else [0]


class WindowedSegmenter(nn.Module):
    """A model that is shown windows of images; it stands for a `Segmenter` wherever models are scored or predict.

    Samples are the first axis of its features, as they are of a `Segmenter`'s; the windows are the second. The logits
    of an image are the logarithm of the mean of the probabilities that the windows give to a pixel, whose softmax they
    are. One window as large as the image changes nothing.

    Args:
        whole: the model, which is shown whole images elsewhere.
        windows: what it is shown here. Images and sensors that are given together are of one size.
    """

    def __init__(self, whole: Segmenter, windows: Windows) -> None:
        super().__init__()
        self.whole, self.windows = whole, windows

    @property
    def sensors(self) -> tuple[str, ...]:
        """The names of the model's sensors, sorted."""
        return self.whole.sensors

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Segment a batch {sensor: (B, C, H, W)}; see `Segmenter`.

        Gradients need the memory of one window: its activations are computed again in the backward pass.

        Raises:
            UsageError: the window is larger than the images.
        """
        size = largest_size(inputs.values())
        spans = self.windows.spans(size)
        parts = (checkpoint(self.whole, _cut(inputs, span), use_reentrant=False) for span in spans)
        return _blend(parts, spans, size)

    def encode(self, inputs: Mapping[str, Tensor]) -> Features:
        """Encode sensors window by window.

        Args:
            inputs: {sensor: (B, C, H, W)}, standardised as whole images.

        Returns:
            {sensor: [feature (B, W, C_j, H_j, W_j) per stage]} of W windows.

        Raises:
            UsageError: a sensor is unknown, or the window is larger than the images.
        """
        spans = self.windows.spans(largest_size(inputs.values()))
        features: Features = {}
        for place, span in enumerate(spans):
            for name, stages in self.whole.encode(_cut(inputs, span)).items():
                if name not in features:
                    features[name] = [_make_room(stage, len(spans)) for stage in stages]
                for room, stage in zip(features[name], stages, strict=True):
                    room[:, place] = stage
        return features

    def decode(self, features: Features, present: Mapping[str, Tensor] | None, size: Size | torch.Size) -> Tensor:
        """Decode the features of any subset of the sensors; see `Segmenter.decode`.

        Args:
            features: {sensor: [feature per stage]}, from `encode`.
            present: {sensor: (B,) bool, or (B, h, w)}, which part of each place in the whole image is usable; None for
                all.
            size: (H, W) of the images, and of the logits.
        """
        spans = self.windows.spans((size[0], size[1]))
        weights = dict(present or {})
        if len(spans) > 1:
            weights = {name: _to_pixels(mask, size) for name, mask in weights.items()}
        parts = (
            self.whole.decode(own, {name: _cut_mask(mask, span) for name, mask in weights.items()}, self.windows.size)
            for own, span in zip(_split(features, len(spans)), spans, strict=True)
        )
        return _blend(parts, spans, size)

    def decode_subsets(
        self,
        features: Features,
        present: Mapping[str, Tensor],
        subsets: Sequence[Sequence[str]],
        size: Size | torch.Size,
    ) -> Iterator[Tensor]:
        """Decode many subsets of the sensors; see `Segmenter.decode_subsets`, and `decode` for the size."""
        spans = self.windows.spans((size[0], size[1]))
        # Coarse logits of all subsets need less memory than the maps that they are made of, hundreds of channels wide.
        coarse = [
            list(self.whole.decode_subsets_coarsely(own, present, subsets)) for own in _split(features, len(spans))
        ]
        del features  # of all windows: they need not stay while the subsets are scored
        for logits in zip(*coarse, strict=True):
            yield _blend((enlarge(each, self.windows.size) for each in logits), spans, size)


AnySegmenter = Segmenter | WindowedSegmenter
"""A model that is shown whole images, or windows of them."""


def in_windows(model: Segmenter, windows: Windows | None) -> AnySegmenter:
    """Return the model as it predicts in windows; None for whole images."""
    return model if windows is None else WindowedSegmenter(model, windows)


def _cut(images: Mapping[str, Tensor], span: Span) -> dict[str, Tensor]:
    return {name: x[..., span[0], span[1]] for name, x in images.items()}


def _make_room(stage: Tensor, number: int) -> Tensor:
    """Return room (B, W, C, h, w) for as many maps as this one (B, C, h, w), in its layout channels_last."""
    samples, channels, height, width = stage.shape
    return stage.new_empty(samples, number, height, width, channels).movedim(-1, 2)


def _split(features: Features, number: int) -> Iterator[Features]:
    """Yield the features of each window."""
    for place in range(number):
        yield {name: [stage[:, place] for stage in stages] for name, stages in features.items()}


def _to_pixels(present: Tensor, size: Size | torch.Size) -> Tensor:
    """Return presence (B,) as it is, and (B, h, w) as (B, H, W)."""
    return present if present.ndim == 1 else interpolate(present[:, None], tuple(size), mode="nearest-exact")[:, 0]


def _cut_mask(present: Tensor, span: Span) -> Tensor:
    return present if present.ndim == 1 else present[:, span[0], span[1]]


def _blend(parts: Iterable[Tensor], spans: Sequence[Span], size: Size | torch.Size) -> Tensor:
    """Return the logits of images, of (H, W) = size, from those of each window."""
    if len(spans) == 1:
        return next(iter(parts))
    total: Tensor | None = None
    for (rows, columns), logits in zip(spans, parts, strict=True):
        probabilities = logits.float().softmax(1)
        if total is None:
            total = probabilities.new_full((*probabilities.shape[:2], *size), _LEAST)
            number = probabilities.new_zeros(*size)
        total[..., rows, columns] += probabilities
        number[rows, columns] += 1
    assert total is not None
    return total.div_(number).log_()
