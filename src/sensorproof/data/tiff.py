"""Decode TIFF: the stored values, whatever the compression; or a refusal that says why not."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from sensorproof.data.orientation import ORIENTATION_TAG, upright
from sensorproof.errors import BatchError

_AS_STORED = {PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE, PHOTOMETRIC.CFA}
_JPEG = {COMPRESSION.JPEG, COMPRESSION.OJPEG, COMPRESSION.JPEG_LOSSY}


def read_tiff(path: Path, channels: int, check_size: Callable[[int], None]) -> NDArray[Any]:
    """Decode a TIFF of one page.

    Args:
        path: the file.
        channels: what batch.yaml claims. A palette image gives its colours for 3, its indices otherwise.
        check_size: raises if an image of so many values is too large.

    Returns:
        (H, W) or (H, W, C) in the file's own type, the values as they are stored, turned as the orientation tag says.
        Bands beyond the colours are bands like any other: no alpha is applied.

    Raises:
        BatchError: it has several pages, or stores colours in a way that has no plain bands.
        Exception: what tifffile and imagecodecs raise for a broken file.
    """
    with _logged_errors_raised(), tifffile.TiffFile(path) as file:
        if sum(not page.aspage().is_reduced for page in file.pages) != 1:
            raise BatchError(path, f"has {len(file.pages)} pages", "write one page a frame")
        page = file.pages.first.aspage()
        check_size(max(math.prod(page.shape), math.prod(page.chunks)))
        _check_photometric(path, page)
        size = path.stat().st_size
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        if any(not count or start + count > size for start, count in segments):
            raise ValueError("it is truncated")
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric == PHOTOMETRIC.PALETTE and channels == 3 and page.colormap is not None:
            # A colour map has 16 bits a value; files of 8 bits repeat the byte.
            pixels = np.moveaxis(page.colormap[:, pixels] >> 8, 0, -1).astype(np.uint8)
        tag = page.tags.get(ORIENTATION_TAG)
        return upright(pixels, None if tag is None else int(tag.value))


def _check_photometric(path: Path, page: tifffile.TiffPage) -> None:
    """Raise BatchError if the stored values are not grey, RGB or plain bands."""
    if page.photometric in _AS_STORED or (page.photometric == PHOTOMETRIC.YCBCR and page.compression in _JPEG):
        return
    name = getattr(page.photometric, "name", str(page.photometric))
    raise BatchError(path, f"stores its colours as {name}", "write grey, RGB or plain bands")


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
    """Collect errors; warnings end here."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.messages.append(record.getMessage())
