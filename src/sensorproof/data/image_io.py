"""Decode PNG, JPEG, TIFF and NPY files; every fault of a file is an error of one line."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.orientation import ORIENTATION_TAG, upright
from sensorproof.data.tiff import read_tiff
from sensorproof.errors import BatchError

MAX_PIXELS = 2**26
"""Images with more pixels (8192 x 8192) are refused before they are decoded, as decompression bombs."""
_MAX_NPY_HEADER = 10_000
_PNG_END = b"IEND\xae\x42\x60\x82"
"""The last bytes of a PNG's stream: the chunk IEND with its checksum."""
_GREY_STEPS = {2: 85, 4: 17}
"""{bits per pixel of a grey PNG: the factor by which Pillow multiplies its values}."""


def read_pixels(path: Path, channels: int = 1) -> NDArray[Any]:
    """Decode a file by its ending.

    Args:
        path: the file.
        channels: what batch.yaml claims. A palette image gives its colours for 3, its indices otherwise.

    Returns:
        (H, W) or (H, W, C) in the file's own type: the values as they are stored, turned upright where the file has an
        orientation tag.

    Raises:
        BatchError: the file is missing, truncated, too large or of an unknown format.
    """
    readers: dict[str, Callable[[], NDArray[Any]]] = {
        ".png": lambda: _read_with_pillow(path, channels),
        ".jpg": lambda: _read_with_pillow(path, channels),
        ".jpeg": lambda: _read_with_pillow(path, channels),
        ".tif": lambda: read_tiff(path, channels, check_size),
        ".tiff": lambda: read_tiff(path, channels, check_size),
        ".npy": lambda: _read_npy(path),
    }

    def check_size(values: int) -> None:
        _refuse_size(path, values)

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
        reason = str(error).replace(str(path), path.name)  # results that are kept must not say where the batch was
        raise BatchError(path, f"is not a whole image ({reason})", "copy the file again") from error


def _refuse_size(path: Path, pixels: int) -> None:
    """Raise BatchError for an image of more than MAX_PIXELS."""
    if pixels > MAX_PIXELS:
        raise BatchError(path, f"has {pixels:,} pixels, more than {MAX_PIXELS:,}", "give smaller images")


def _read_with_pillow(path: Path, channels: int) -> NDArray[Any]:
    """Decode PNG and JPEG, turned as their orientation tag says.

    Pillow checks the stream to its end. It would reduce 16-bit colour to 8 bits: imagecodecs decodes that.
    """
    with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
        opened = Image.open(path, formats=("PNG", "JPEG"))
    with opened as file:
        _refuse_size(path, file.width * file.height)
        file.load()
        bits, colours = _png_header(path)
        if bits == 16 and colours > 1:
            content = path.read_bytes()
            if _PNG_END not in content:  # libpng would report it on standard error
                raise ValueError("it is truncated")
            pixels = np.asarray(imagecodecs.png_decode(content))
        elif file.mode in ("CMYK", "YCCK"):
            raise BatchError(path, f"stores its colours as {file.mode}", "write grey or RGB")
        elif file.mode == "P" and channels == 3:
            pixels = np.asarray(file.convert("RGB"))
        else:
            pixels = np.asarray(file.convert("P") if file.mode == "PA" else file)
            pixels = pixels // _GREY_STEPS.get(bits, 1) if file.mode == "L" else pixels
        return upright(pixels, file.getexif().get(ORIENTATION_TAG))


def _png_header(path: Path) -> tuple[int, int]:
    """Return the bits per value and the channels in a PNG's header; (8, 0) for another format."""
    with path.open("rb") as file:
        header = file.read(26)
    if header[:4] != b"\x89PNG":
        return 8, 0
    return header[24], {0: 1, 2: 3, 4: 2, 6: 4}.get(header[25], 1)


def _read_npy(path: Path) -> NDArray[Any]:
    """Decode NPY without pickles. The header is checked against the file's length before anything is read."""
    try:
        mapped = np.lib.format.open_memmap(path, mode="r", max_header_size=_MAX_NPY_HEADER)
    except ValueError as error:
        if "Python objects" not in str(error):
            raise
        fix = "save numbers instead, such as np.save(path, np.stack(arrays).astype(np.float32))"
        raise BatchError(path, "holds Python objects, which are not read", fix) from error
    _refuse_size(path, mapped.size)
    return np.array(mapped)
