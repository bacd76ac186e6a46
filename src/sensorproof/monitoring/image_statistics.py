"""Statistics of single images that a failing sensor changes: level, spread, roughness, by region of the image.

All come from sums over small blocks, so that the pixels are read once.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
"""(B, REGIONS, QUANTITIES), or (B, REGIONS * QUANTITIES) where the two are not told apart."""
REGIONS = 5
"""The whole image and its four quarters: upper left, upper right, lower left, lower right."""
QUANTITIES = ("mean", "spread", "step", "low", "high", "valid", "log_mean", "log_spread", "log_step")
"""Of the pixels of a region, as shares of the sensor's range: mean; standard deviation; mean absolute difference to the
left and upper neighbours; lowest and highest mean of a block; share of valid pixels; and three of them on a logarithmic
scale."""
MEAN, SPREAD, STEP, LOW, HIGH, VALID, LOG_MEAN, LOG_SPREAD, LOG_STEP = range(len(QUANTITIES))
_FEWEST = 0.02
"""A region with a smaller share of valid pixels says nothing but how many there are."""
_SMALLEST = 1 / 512
"""Half a step of 8 bits: logarithms do not tell smaller values apart."""
_BLOCK = 8
"""Side of a block in pixels."""
_BLANK, _ROUNDING = 2e-4, 3e-7
"""A block with a smaller standard deviation shows nothing; and what rounding does to its variance, by its square."""


@dataclass(frozen=True)
class Gray:
    """Images of one sensor, in one channel: the mean over its channels."""

    values: NDArray[np.float32]
    """(B, H, W), shares of the range, 0 where invalid."""
    valid: NDArray[np.bool_] | None
    """(B, H, W), or None where all pixels are valid."""


def to_gray(pixels: NDArray[np.floating]) -> Gray:
    """Reduce (B, C, H, W); a pixel is invalid that is NaN in any channel."""
    values = pixels.astype(np.float32)
    gray = values[:, 0] if values.shape[1] == 1 else values.sum(1) / np.float32(values.shape[1])
    valid = np.isfinite(gray)
    return Gray(gray, None) if valid.all() else Gray(np.where(valid, gray, np.float32(0)), valid)


def measure_images(gray: Gray) -> tuple[Values, NDArray[np.bool_]]:
    """Compute the statistics of images, and which blocks show nothing.

    Returns:
        (B, REGIONS, QUANTITIES), NaN where too few pixels are valid; and (B, h, w), true for a block that has one value
        everywhere, or no valid pixel.
    """
    values, valid = gray.values, gray.valid
    step = np.zeros_like(values)
    np.abs(values[:, :, 1:] - values[:, :, :-1], out=step[:, :, 1:])
    step[:, 1:] += np.abs(values[:, 1:] - values[:, :-1])
    means = [_block_means(values), _block_means(values * values)]
    if valid is None:
        share = known = np.ones_like(means[0])
    else:  # a step into a hole is none
        inside = valid.copy()
        inside[:, :, 1:] &= valid[:, :, :-1]
        inside[:, 1:] &= valid[:, :-1]
        step *= inside
        share, known = (_block_means(mask.astype(np.float32)) for mask in (valid, inside))
    blocks = np.stack([*means, _block_means(step), share, known], -1)
    some = np.maximum(share, 1 / _BLOCK**2)
    square = blocks[..., 1] / some
    flat = square - (blocks[..., 0] / some) ** 2 < _BLANK**2 + _ROUNDING * square
    return _to_statistics(blocks), flat | (share < 1 / _BLOCK**2)


def _block_means(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the means (B, h, w) of the blocks of images (B, H, W)."""
    count, height, width = images.shape
    rows, columns = max(1, height // _BLOCK), max(1, width // _BLOCK)
    if height % rows == 0:  # the images below one another are one image
        tall = cv2.resize(images.reshape(-1, width), (columns, count * rows), interpolation=cv2.INTER_AREA)
        return np.asarray(tall, np.float32).reshape(count, rows, columns)
    return np.stack([cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA) for image in images])


def _to_statistics(blocks: NDArray[np.float32]) -> Values:
    """Turn means over blocks (B, h, w, 5) of value, square, step, and shares of pixels valid and steps known."""
    members = _regions(*blocks.shape[1:3])
    flat = blocks.reshape(len(blocks), -1, blocks.shape[3]).astype(np.float64)
    total, squares, stepped, share, known = np.moveaxis(members / members.sum(1, keepdims=True) @ flat, -1, 0)
    mean, step = total / np.maximum(share, _FEWEST), stepped / np.maximum(known, _FEWEST)
    spread = np.sqrt(np.maximum(squares / np.maximum(share, _FEWEST) - mean**2, 0))
    # Extremes are those of the blocks of which half of the pixels are valid.
    shares = flat[..., 3]
    inside = (members > 0) & (shares >= 0.5)[:, None]
    levels = (flat[..., 0] / np.maximum(shares, 0.5))[:, None]
    low, high = np.where(inside, levels, np.inf).min(2), np.where(inside, levels, -np.inf).max(2)
    logs = np.log(np.maximum([mean, spread, step], 0) + _SMALLEST)
    statistics = np.stack([mean, spread, step, low, high, share, *logs], -1).astype(np.float32)
    statistics[~np.isfinite(statistics)] = np.nan
    statistics[share < _FEWEST] = np.nan
    statistics[known < _FEWEST, STEP] = np.nan
    statistics[known < _FEWEST, LOG_STEP] = np.nan
    statistics[..., VALID] = share
    return statistics


@lru_cache(maxsize=16)
def _regions(rows: int, columns: int) -> NDArray[np.float64]:
    """Return which blocks belong to each region (REGIONS, rows * columns), 0 or 1."""
    members = np.zeros((REGIONS, rows, columns))
    members[0] = 1
    halves = [(slice(max(1, side // 2)), slice(-max(1, side // 2), None)) for side in (rows, columns)]
    for place, (vertical, horizontal) in enumerate(product(*halves), 1):
        members[place, vertical, horizontal] = 1
    return members.reshape(REGIONS, -1)
