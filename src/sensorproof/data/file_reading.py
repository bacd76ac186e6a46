"""How files that were not written for a batch become a sensor's image or a label: `read` and `label` of batch.yaml."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt, SerializerFunctionWrapHandler, model_serializer

from sensorproof.errors import BatchError
from sensorproof.settings.strict_model import StrictModel

_COLOURS = 3
_LOOKUP_BITS = 16
"""Labels of unsigned types up to so many bits are mapped by a table."""
Margins = Annotated[tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt, NonNegativeInt], Field(strict=False)]
"""Pixels that are cut off on the left, at the top, on the right and at the bottom."""


class OmitUnset(StrictModel):
    """A part of batch.yaml that leaves out keys with their default value, so that older files stay what they were."""

    @model_serializer(mode="wrap")
    def _omit_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        for key, field in type(self).model_fields.items():
            if not field.is_required() and getattr(self, key) == field.get_default(call_default_factory=True):
                document.pop(key, None)
        return document


class ImageReading(OmitUnset):
    """Steps from files to a sensor's image, in this order; without any, the image is the file."""

    files: Annotated[int, Field(ge=1, le=16)] = 1
    """Files that make one image, one above the other as channels; a cell names them with `|` in between."""
    unit_range: bool = False
    """Divide integers by the largest value of their type, so that 8 and 16 bits mean the same."""
    bands: Annotated[tuple[NonNegativeInt, ...] | None, Field(strict=False)] = None
    """The channels to take, in their order; a grey file has its one channel as red, green and blue."""
    crop: Margins | None = None
    size: Annotated[tuple[PositiveInt, PositiveInt] | None, Field(strict=False)] = None
    """Height and width to resize to, by the nearest pixel."""

    @property
    def channels(self) -> int | None:
        """The channels to expect of a palette: its colours or its indices; None if the sensor's number decides."""
        return None if self.bands is None else _COLOURS if len(self.bands) > 1 else 1

    def combine(self, paths: Sequence[Path], images: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Combine the contents of files (C, H, W) into one image, before it is resized.

        Raises:
            BatchError: the files differ in size, lack a band, or are smaller than the crop.
        """
        for path, image in zip(paths, images, strict=True):
            if image.shape[1:] != images[0].shape[1:]:
                fault = f"is {_size(image)}, {paths[0].name} is {_size(images[0])}"
                raise BatchError(path, fault, "give files of one size")
        scaled = [_to_unit_range(image) if self.unit_range else image for image in images]
        pixels = scaled[0] if len(scaled) == 1 else np.concatenate(scaled)
        return crop(paths[0], self._select(paths[0], pixels), self.crop)

    def fit(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize (C, h, w) to `size`, where there is one."""
        if self.size is None or pixels.shape[1:] == self.size:
            return pixels
        width_height = self.size[::-1]
        return np.stack([cv2.resize(band, width_height, interpolation=cv2.INTER_NEAREST_EXACT) for band in pixels])

    def _select(self, path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
        if self.bands is None:
            return pixels
        if len(pixels) == 1 and max(self.bands) < _COLOURS:
            pixels = np.repeat(pixels, _COLOURS, axis=0)
        if max(self.bands) >= len(pixels):
            fault = f"has {len(pixels)} channels, batch.yaml takes number {max(self.bands)} (counted from 0)"
            raise BatchError(path, fault, "correct `bands` or the file")
        return pixels[list(self.bands)]


class LabelReading(OmitUnset):
    """Steps from a file to a label, in this order."""

    band: NonNegativeInt | None = None
    """The channel that holds the ids; None for files of one channel."""
    crop: Margins | None = None
    values: dict[int, Annotated[int, Field(ge=0, le=255)]] = Field(default_factory=dict)
    """{value in the file: class id or ignore_index}; other values stay as they are."""

    def apply(self, path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
        """Take the ids (1, H, W) from the content of a file (C, H, W).

        Raises:
            BatchError: the file lacks the band, or is smaller than the crop.
        """
        if self.band is not None:
            if self.band >= len(pixels):
                fault = f"has {len(pixels)} channels, batch.yaml takes number {self.band} (counted from 0)"
                raise BatchError(path, fault, "correct `label` in batch.yaml or the file")
            pixels = pixels[self.band : self.band + 1]
        pixels = crop(path, pixels, self.crop)
        return self._map(pixels) if self.values and pixels.dtype.kind in "bui" else pixels

    def _map(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Replace values by class ids, all at once: a value that is also an id is not mapped twice."""
        if ids.dtype.kind in "bu" and ids.dtype.itemsize * 8 <= _LOOKUP_BITS:
            table = np.arange(256**ids.dtype.itemsize, dtype=f"u{ids.dtype.itemsize}")
            for value, target in self.values.items():
                if 0 <= value < len(table):
                    table[value] = target
            return table[ids.astype(table.dtype)]
        known, inverse = np.unique(ids, return_inverse=True)
        mapped = np.array([self.values.get(int(value), int(value)) for value in known])
        return mapped[inverse].reshape(ids.shape)


def crop(path: Path, pixels: NDArray[Any], margins: tuple[int, int, int, int] | None) -> NDArray[Any]:
    """Cut margins off (C, H, W).

    Raises:
        BatchError: nothing would be left.
    """
    if margins is None:
        return pixels
    left, top, right, bottom = margins
    height, width = pixels.shape[1:]
    if left + right >= width or top + bottom >= height:
        fault = f"is {height} x {width}, of which the crop {list(margins)} leaves nothing"
        raise BatchError(path, fault, "correct `crop` in batch.yaml (left, top, right, bottom) or the file")
    return pixels[:, top : height - bottom, left : width - right]


def _to_unit_range(pixels: NDArray[Any]) -> NDArray[Any]:
    """Divide integers by the largest value of their type; other types stay as they are."""
    if pixels.dtype.kind not in "ui":
        return pixels
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def _size(image: NDArray[Any]) -> str:
    return f"{image.shape[1]} x {image.shape[2]}"
