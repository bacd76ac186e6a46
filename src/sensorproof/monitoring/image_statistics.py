"""Statistics of single images that a failing sensor changes: level, spread, roughness, by region of the image."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
"""(B, REGIONS, QUANTITIES), or (B, REGIONS * QUANTITIES) where the two are not told apart."""
REGIONS = 5
"""The whole image and its four quarters: upper left, upper right, lower left, lower right."""
QUANTITIES = ("mean", "spread", "step", "low", "high", "valid", "log_mean", "log_spread", "log_step")
"""Of the pixels of a region, as shares of the sensor's range: mean; standard deviation; mean absolute difference to the
left and upper neighbours; lowest and highest value; share of valid pixels; and three of them on a logarithmic scale."""
MEAN, SPREAD, STEP, LOW, HIGH, VALID, LOG_MEAN, LOG_SPREAD, LOG_STEP = range(len(QUANTITIES))
_FEWEST = 0.02
"""A region with a smaller share of valid pixels says nothing but how many there are."""
_SMALLEST = 1 / 512
"""Half a step of 8 bits: logarithms do not tell smaller values apart."""


_BLOCK = 8
"""Side in pixels of the blocks that are looked at for lost parts of an image."""
_BLANK = 1e-3
"""A block whose values differ by less, as a share of the sensor's range, shows nothing."""


def to_gray(pixels: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the mean over the channels of (B, C, H, W), 0 where a channel is invalid, and the mask of valid pixels."""
    values = np.asarray(pixels, np.float32)
    gray = values[:, 0] if values.shape[1] == 1 else values.mean(1)
    valid = np.isfinite(gray)
    return (gray if valid.all() else np.where(valid, gray, np.float32(0))), valid


def measure_images(gray: NDArray[np.float32], valid: NDArray[np.bool_]) -> Values:
    """Compute the statistics of images.

    Args:
        gray: (B, H, W), shares of the range, 0 where invalid.
        valid: (B, H, W).

    Returns:
        (B, REGIONS, QUANTITIES); NaN where too few pixels are valid.
    """
    step = np.zeros_like(gray)
    step[:, :, 1:] = np.abs(gray[:, :, 1:] - gray[:, :, :-1])
    step[:, 1:] += np.abs(gray[:, 1:] - gray[:, :-1])
    known = None
    if not valid.all():  # a step into a hole is none
        known = valid.copy()
        known[:, :, 1:] &= valid[:, :, :-1]
        known[:, 1:] &= valid[:, :-1]
        step *= known
    areas = list(_quarters(*gray.shape[1:]))
    parts = [
        _sum_region(gray[area], step[area], *((None, None) if known is None else (valid[area], known[area])))
        for area in areas
    ]
    quarters = np.stack(parts, 1)
    totals = np.concatenate([quarters[..., :5].sum(1), quarters[..., 5:6].min(1), quarters[..., 6:].max(1)], -1)
    sizes = np.array([gray[0][area[1:]].size for area in areas])
    return _to_statistics(np.concatenate([totals[:, None], quarters], 1), np.array([sizes.sum(), *sizes]))


def find_empty_blocks(gray: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which blocks of images (B, H, W) show nothing (B, h, w): one value everywhere, or no valid pixel."""
    height, width = (max(1, side // _BLOCK) for side in gray.shape[1:])
    whole = bool(valid.all())
    low = gray if whole else np.where(valid, gray, np.float32(np.inf))
    high = gray if whole else np.where(valid, gray, np.float32(-np.inf))
    rows, columns = (
        np.linspace(0, s, n + 1).astype(int)[:-1] for s, n in zip(gray.shape[1:], (height, width), strict=True)
    )
    highest = np.maximum.reduceat(np.maximum.reduceat(high, rows, axis=1), columns, axis=2)
    lowest = np.minimum.reduceat(np.minimum.reduceat(low, rows, axis=1), columns, axis=2)
    return np.asarray(highest - lowest < _BLANK)  # without a valid pixel: -inf - inf


def _quarters(height: int, width: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield the four quarters of images (B, H, W)."""
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            yield slice(None), rows, columns


def _sum_region(
    gray: NDArray[np.float32],
    step: NDArray[np.float32],
    valid: NDArray[np.bool_] | None,
    known: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    """(B, 7): numbers of valid pixels and known steps, sums of values, squares and steps, lowest and highest value."""
    low = high = gray
    count = steps = np.full(len(gray), gray.shape[1] * gray.shape[2], np.float64)
    axes = (1, 2)
    if valid is not None and known is not None:
        low, high = np.where(valid, gray, np.float32(np.inf)), np.where(valid, gray, np.float32(-np.inf))
        count, steps = valid.sum(axes), known.sum(axes)
    squares = np.einsum("bij,bij->b", gray, gray)
    sums = [count, steps, gray.sum(axes), squares, step.sum(axes), low.min(axes), high.max(axes)]
    return np.stack(sums, -1, dtype=np.float64)


def _to_statistics(sums: NDArray[np.float64], sizes: NDArray[np.int64]) -> Values:
    """Turn sums (B, R, 7) over regions of `sizes` (R) pixels into statistics (B, R, QUANTITIES)."""
    count, steps, total, squares, stepped, low, high = np.moveaxis(sums, -1, 0)
    few, divisor = count < _FEWEST * sizes, np.maximum(count, 1)
    mean, step = total / divisor, stepped / np.maximum(steps, 1)
    spread = np.sqrt(np.maximum(squares / divisor - mean**2, 0))
    logs = [np.log(np.maximum(quantity, 0) + _SMALLEST) for quantity in (mean, spread, step)]
    share = count / sizes
    statistics = np.stack([mean, spread, step, low, high, share, *logs], -1).astype(np.float32)
    statistics[few] = np.nan
    for quantity in (STEP, LOG_STEP):
        statistics[..., quantity][steps < _FEWEST * sizes] = np.nan
    statistics[..., VALID] = share
    return statistics
