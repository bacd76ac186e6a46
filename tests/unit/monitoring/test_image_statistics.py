"""Statistics of images against plain numpy, with holes and without, for any size."""

import warnings
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorproof.monitoring.image_statistics import (
    HIGH,
    LOG_MEAN,
    LOG_SPREAD,
    LOG_STEP,
    LOW,
    MEAN,
    QUANTITIES,
    REGIONS,
    SPREAD,
    STEP,
    VALID,
    measure_images,
    to_gray,
)

BLOCK = 8


@pytest.fixture(autouse=True)
def _no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def images_with_holes(height: int, width: int, holes: float, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    images = rng.random((2, channels, height, width), dtype=np.float32)
    images[np.broadcast_to(rng.random((2, 1, height, width)) < holes, images.shape)] = np.nan
    return images


def steps(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of the differences to the left and upper neighbours that there are; NaN beside a hole, and in it."""
    total = np.zeros_like(image)
    total[:, 1:] += abs(image[:, 1:] - image[:, :-1])
    total[1:] += abs(image[1:] - image[:-1])
    total[np.isnan(image)] = np.nan
    return total


def expected(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The statistics of a region (H, W), NaN where invalid, whose sides are multiples of 8 pixels."""
    rows, columns = (side // BLOCK for side in image.shape)
    blocks = image.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(-1, BLOCK * BLOCK)
    means = [np.nanmean(block) for block in blocks if np.isfinite(block).mean() >= 0.5]
    return np.array(
        [np.nanmean(image), np.nanstd(image), np.nan, min(means), max(means), np.isfinite(image).mean()],
    )


@pytest.mark.parametrize("holes", [0.0, 0.2])
@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_numpy(holes: float, channels: int) -> None:
    images = images_with_holes(48, 64, holes, channels)
    values, empty = measure_images(to_gray(images))
    assert values.shape == (2, REGIONS, len(QUANTITIES))
    assert not empty.any()
    for image, found in zip(images.astype(float).mean(1), values, strict=True):
        halves = [[slice(half), slice(half, None)] for half in (24, 32)]
        regions = [(slice(None), slice(None)), *product(*halves)]
        changes = steps(image)
        for region, own in zip(regions, found, strict=True):
            wanted = expected(image[region])
            wanted[STEP] = np.nanmean(changes[region])
            np.testing.assert_allclose(own[:6], wanted, rtol=1e-4, atol=1e-4)
            logs = own[[LOG_MEAN, LOG_SPREAD, LOG_STEP]]
            np.testing.assert_allclose(logs, np.log(own[[MEAN, SPREAD, STEP]] + 1 / 512), rtol=1e-5, atol=1e-5)


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_any_size_has_finite_statistics_or_says_that_it_knows_nothing(height: int, width: int, holes: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = images_with_holes(height, width, holes, seed=height * width)
        values, empty = measure_images(to_gray(images))
    assert values.shape == (2, REGIONS, len(QUANTITIES))
    assert empty.shape == (2, max(1, height // BLOCK), max(1, width // BLOCK))
    whole = values[:, 0]
    np.testing.assert_allclose(whole[:, VALID], np.isfinite(images).mean((1, 2, 3)), atol=1e-5)
    known = whole[:, VALID] >= 0.03
    assert np.isfinite(whole[known][:, [MEAN, SPREAD, LOG_MEAN, LOG_SPREAD]]).all()
    if known.any():
        np.testing.assert_allclose(whole[known, MEAN], np.nanmean(images[known], (1, 2, 3)), rtol=1e-3, atol=1e-4)
    assert not np.isinf(values).any()


def test_images_of_a_pass_do_not_change_one_another() -> None:
    for height in (48, 47):  # one is measured as a single tall image
        images = images_with_holes(height, 60, 0.2)
        together, empty = measure_images(to_gray(images))
        for row in range(2):
            alone, holes = measure_images(to_gray(images[row : row + 1]))
            np.testing.assert_allclose(together[row], alone[0], rtol=1e-6)
            np.testing.assert_array_equal(empty[row], holes[0])


def test_an_image_without_a_valid_pixel_knows_nothing_but_that() -> None:
    values, empty = measure_images(to_gray(np.full((1, 3, 20, 30), np.nan, np.float16)))
    assert (values[..., VALID] == 0).all()
    rest = np.delete(values, VALID, -1)
    assert np.isnan(rest).all()
    assert empty.all()


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0, 100.0])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_image_of_one_value_shows_nothing(level: float, dtype: type) -> None:
    images: NDArray[np.floating] = np.full((1, 1, 33, 47), level, dtype)
    values, empty = measure_images(to_gray(images))
    assert empty.all()
    np.testing.assert_allclose(values[0, 0, [MEAN, LOW, HIGH]], images[0, 0, 0, 0], rtol=1e-4)
    assert values[0, 0, STEP] == 0
    assert values[0, 0, SPREAD] == pytest.approx(0, abs=2e-3 * max(1, level))


def test_empty_blocks_lie_where_the_image_shows_nothing() -> None:
    images = images_with_holes(48, 64, 0.0)
    images[0, :, 24:] = 0.4  # lost
    images[1, :, :, :32] = np.nan
    _, empty = measure_images(to_gray(images))
    lower, left = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
    lower[3:], left[:, :4] = True, True
    np.testing.assert_array_equal(empty, [lower, left])


def test_the_faintest_content_of_8_bits_is_not_empty() -> None:
    image = np.full((1, 1, 16, 16), 0.5, np.float32)
    image[0, 0, ::2, ::2] += np.float32(1 / 255)
    assert not measure_images(to_gray(image))[1].any()


def test_a_step_into_a_hole_is_none() -> None:
    image = np.full((1, 1, 32, 32), 0.8, np.float32)
    image[0, 0, 10:20, 10:20] = np.nan
    values, _ = measure_images(to_gray(image))
    assert values[0, 0, STEP] == 0


def test_a_pixel_is_invalid_that_is_nan_in_any_channel() -> None:
    images = np.ones((1, 3, 2, 2), np.float16)
    images[0, 1, 0, 0] = np.nan
    gray = to_gray(images)
    assert gray.valid is not None
    np.testing.assert_array_equal(gray.valid[0], [[False, True], [True, True]])
    np.testing.assert_array_equal(gray.values[0], [[0, 1], [1, 1]])
    assert to_gray(np.ones((1, 3, 2, 2), np.float16)).valid is None
