"""Decode PNG, JPEG, TIFF and NPY files; every fault of a file is an error of one line."""

import logging
import math
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from sensorproof.errors import BatchError

MAX_PIXELS = 2**26
"""Images with more pixels (8192 x 8192) are refused before they are decoded, as decompression bombs."""
_MAX_NPY_HEADER = 10_000
_PNG_END = b"IEND\xae\x42\x60\x82"
"""The last bytes of a PNG's stream: the chunk IEND with its checksum."""
_NO_COMPRESSION, _PACKBITS, _DEFLATE = 1, 32773, (8, 32946)
"""TIFF's numbers of the compressions that tifffile decodes without further libraries."""
_FLOATING_POINT_PREDICTOR = 3
"""TIFF's number of a predictor that tifffile does not undo without further libraries."""
_GREY_STEPS = {2: 85, 4: 17}
"""{bits per pixel of a grey PNG: the factor by which Pillow multiplies its values}."""


def read_pixels(path: Path, channels: int = 1) -> NDArray[Any]:
    """Decode a file by its ending.

    Args:
        path: the file.
        channels: what batch.yaml claims. A palette image gives its colours for 3, its indices otherwise.

    Returns:
        (H, W) or (H, W, C) in the file's own type, the values as they are stored.

    Raises:
        BatchError: the file is missing, truncated, too large or of an unknown format.
    """
    readers: dict[str, Callable[[], NDArray[Any]]] = {
        ".png": lambda: _read_with_pillow(path, channels),
        ".jpg": lambda: _read_with_pillow(path, channels),
        ".jpeg": lambda: _read_with_pillow(path, channels),
        ".tif": lambda: _read_tiff(path),
        ".tiff": lambda: _read_tiff(path),
        ".npy": lambda: _read_npy(path),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BatchError(path, f"is of unknown format {path.suffix!r}", f"use {', '.join(readers)}")
    if not path.is_file():
        raise BatchError(path, "is missing", "add the file, or leave the cell in frames.csv empty")
    try:
        return reader()
    except BatchError:
        raise
    # The decoders raise more kinds of error for a broken file than their documentation names.
    except Exception as error:
        raise BatchError(path, f"is not a whole image ({error})", "copy the file again") from error


def _refuse_size(path: Path, pixels: int) -> None:
    """Raise BatchError for an image of more than MAX_PIXELS."""
    if pixels > MAX_PIXELS:
        raise BatchError(path, f"has {pixels:,} pixels, more than {MAX_PIXELS:,}", "give smaller images")


def _read_with_pillow(path: Path, channels: int) -> NDArray[Any]:
    """Decode PNG and JPEG: by Pillow, which checks the stream to its end; 16-bit colour by OpenCV.

    Pillow would reduce 16-bit colour to 8 bits.
    """
    with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
        opened = Image.open(path, formats=("PNG", "JPEG"))
    with opened as file:
        _refuse_size(path, file.width * file.height)
        file.load()
        bits, colours = _png_header(path)
        if bits == 16 and colours > 1:
            if _PNG_END not in path.read_bytes():  # libpng would report it on standard error
                raise ValueError("it is truncated")
            return _read_with_opencv(path, colours)
        if file.mode == "CMYK" or (file.mode == "P" and channels == 3):
            return np.asarray(file.convert("RGB"))
        pixels = np.asarray(file.convert("P") if file.mode == "PA" else file)
        return pixels // _GREY_STEPS.get(bits, 1) if file.mode == "L" else pixels


def _png_header(path: Path) -> tuple[int, int]:
    """Return the bits per value and the channels in a PNG's header; (8, 0) for another format."""
    with path.open("rb") as file:
        header = file.read(26)
    if header[:4] != b"\x89PNG":
        return 8, 0
    return header[24], {0: 1, 2: 3, 4: 2, 6: 4}.get(header[25], 1)


def _read_with_opencv(path: Path, colours: int) -> NDArray[Any]:
    """Decode what no other reader decodes without loss: (H, W) or (H, W, C), channels in the file's order."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None:
        raise ValueError("no decoder reads it")
    if pixels.ndim == 2:
        return pixels
    # OpenCV returns blue first, and grey with alpha as four channels.
    return pixels[..., [0, 3]] if colours == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _read_tiff(path: Path) -> NDArray[Any]:
    """Decode a TIFF of one page, 8 or 16 bits or floating point."""
    with _logged_errors_raised(), tifffile.TiffFile(path) as file:
        if sum(not page.aspage().is_reduced for page in file.pages) != 1:
            raise BatchError(path, f"has {len(file.pages)} pages", "write one page a frame")
        page = file.pages.first.aspage()
        values = max(math.prod(page.shape), math.prod(page.chunks))
        _refuse_size(path, values)
        size = path.stat().st_size
        if any(start + count > size for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise ValueError("it is truncated")
        by_tifffile = page.compression in {_NO_COMPRESSION, _PACKBITS, *_DEFLATE}
        if not by_tifffile or page.predictor == _FLOATING_POINT_PREDICTOR:
            return _read_with_opencv(path, page.samplesperpixel)
        if page.compression in _DEFLATE:
            _refuse_bomb(page, values)
        pixels = page.asarray()
        return np.moveaxis(pixels, 0, -1) if page.planarconfig == 2 and pixels.ndim == 3 else pixels


@contextmanager
def _logged_errors_raised() -> Iterator[None]:
    """Raise as ValueError what tifffile only logs: without a tag that it cannot read, the image is half understood."""
    logger, errors = logging.getLogger("tifffile"), _ErrorMessages()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(errors)
    try:
        yield
        if errors.messages:
            raise ValueError(errors.messages[0])
    finally:
        logger.removeHandler(errors)
        logger.propagate = propagate


class _ErrorMessages(logging.Handler):
    """Keeps the messages of errors and drops those of warnings."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _refuse_bomb(page: tifffile.TiffPage, values: int) -> None:
    """Raise ValueError if a deflated strip or tile holds more than `values` values; tifffile would unpack it all."""
    limit = values * page.dtype.itemsize if page.dtype else 0
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        page.parent.filehandle.seek(start)
        if len(zlib.decompressobj().decompress(page.parent.filehandle.read(count), limit + 1)) > limit:
            raise ValueError("it holds more than its header says")


def _read_npy(path: Path) -> NDArray[Any]:
    """Decode NPY without pickles. The header is checked against the file's length before anything is read."""
    mapped = np.lib.format.open_memmap(path, mode="r", max_header_size=_MAX_NPY_HEADER)
    _refuse_size(path, mapped.size)
    return np.array(mapped)
