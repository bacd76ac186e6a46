"""Image files -> arrays, and every way in which a file can disappoint, as one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sensorproof.data.batch import BatchInfo, Sensor
from sensorproof.errors import BatchError

MAX_PIXELS = 100_000_000
"""Larger images are refused before they are decoded: nothing a sensor gives comes near."""
NUMBERS = "biuf"


def read_image(path: Path, sensor: Sensor) -> NDArray[np.float32]:
    """Read one frame of a sensor.

    Returns:
        (C, H, W) in the sensor's own units, NaN where invalid: not finite, or nodata in every channel.

    Raises:
        BatchError: the file is missing, truncated, too large, of an unknown format, or has another number of
            channels or another type than a sensor's image.
    """
    pixels = as_channels(path, read_pixels(path))
    if pixels.shape[0] != sensor.channels:
        fault = f"has {pixels.shape[0]} channels, batch.yaml says {sensor.channels}"
        raise BatchError(path, fault, "correct `channels` or the file")
    values = pixels.astype(np.float32)
    invalid = ~np.isfinite(values)
    if sensor.nodata is not None:
        invalid |= (values == np.float32(sensor.nodata)).all(axis=0)
    values[invalid] = np.nan
    return values


def read_label(path: Path, info: BatchInfo) -> NDArray[np.uint8]:
    """Read a label: (H, W), each pixel a class id or ignore_index.

    Raises:
        BatchError: as read_image, or the label has several channels, other numbers than 0 to 255, or ids that
            batch.yaml does not know.
    """
    pixels = as_channels(path, read_pixels(path))
    if pixels.shape[0] != 1:
        raise BatchError(path, f"has {pixels.shape[0]} channels", "write labels as one channel of class ids")
    if pixels.dtype.kind not in "biu":
        raise BatchError(path, f"holds {pixels.dtype}", "write labels as integers")
    known = {c.id for c in info.classes} | {info.ignore_index}
    unknown = sorted(set(np.unique(pixels).tolist()) - known)
    if unknown:
        fault = f"has labels {unknown[:5]} outside the classes"
        raise BatchError(path, fault, "name them in batch.yaml or set them to ignore_index")
    return pixels[0].astype(np.uint8)


def as_channels(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise BatchError(path, f"has shape {pixels.shape}", "write (H, W) or (H, W, C)")
    if pixels.dtype.kind not in NUMBERS:
        raise BatchError(path, f"holds {pixels.dtype}", "write numbers")
    return np.moveaxis(pixels, -1, 0)


def read_pixels(path: Path) -> NDArray[Any]:
    """Decode a file by its ending: (H, W) or (H, W, C) in the file's own type."""
    readers: dict[str, Callable[[Path], NDArray[Any]]] = {
        ".png": read_with_pillow,
        ".jpg": read_with_pillow,
        ".jpeg": read_with_pillow,
        ".tif": read_tiff,
        ".tiff": read_tiff,
        ".npy": read_npy,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BatchError(path, f"is of unknown format {path.suffix!r}", f"use {', '.join(readers)}")
    if not path.is_file():
        raise BatchError(path, "is missing", "add the file, or leave the cell in frames.csv empty")
    return reader(path)


def refuse_size(path: Path, pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise BatchError(path, f"has {pixels:,} pixels, more than {MAX_PIXELS:,}", "give smaller images")


def read_with_pillow(path: Path) -> NDArray[Any]:
    """PNG and JPEG. Pillow checks the stream to its end; 16-bit colour, which it would cut to 8, is OpenCV's."""
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            refuse_size(path, image.width * image.height)
            mode = image.mode
            image.load()
            if deep_colour(path, mode):
                return read_deep_colour(path)
            if mode in {"P", "1", "CMYK", "LA", "PA"}:
                image = image.convert({"P": "P", "1": "L", "CMYK": "RGB", "LA": "L", "PA": "P"}[mode])
            return np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BatchError(path, f"is not a whole image ({error})", "copy the file again") from error


def deep_colour(path: Path, mode: str) -> bool:
    """Whether a PNG's header says more than one channel of 16 bits."""
    with path.open("rb") as file:
        header = file.read(26)
    return header[:4] == b"\x89PNG" and header[24] == 16 and mode in {"RGB", "RGBA", "LA"}


def read_deep_colour(path: Path) -> NDArray[Any]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise BatchError(path, "cannot be decoded", "write it anew")
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.ndim == 3 else pixels


def read_tiff(path: Path) -> NDArray[Any]:
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            refuse_size(path, int(np.prod(page.shape)))
            if page.shape[0] * page.shape[-1] == 0:
                raise ValueError("it is empty")
            pixels = page.asarray()
            return np.moveaxis(pixels, 0, -1) if page.planarconfig == 2 and pixels.ndim == 3 else pixels
    except BatchError:
        raise
    except Exception as error:  # tifffile raises many kinds for a broken file
        raise BatchError(path, f"is not a whole image ({error})", "copy the file again") from error


def read_npy(path: Path) -> NDArray[Any]:
    """NPY without pickling. The header is checked against the file's length before anything is read."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        refuse_size(path, mapped.size)
        return np.array(mapped)
    except (OSError, ValueError, EOFError) as error:
        raise BatchError(path, f"is not a whole array ({error})", "write it with numpy.save") from error
