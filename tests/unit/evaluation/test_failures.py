"""Failures that nobody declares: what each does to the images, and what it leaves alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorproof.evaluation.failures import FAILURES, FURTHER, Context, Failure

Images = NDArray[np.float32]
EVERY: dict[str, Failure] = {**FAILURES, **FURTHER}
KEEP_HOLES = {"dark", "shifted", "soiled", "blurred", "mirrored", "lines_lost", "flickering"}
"""Failures of the optics or the electronics: what was not measured before is not measured then."""


def draw(shape: tuple[int, int, int, int] = (4, 3, 24, 32), seed: int = 0) -> Images:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def context(shape: tuple[int, int, int, int] = (4, 3, 24, 32), seed: int = 0) -> Context:
    first, before, other = (draw(shape, number) for number in (1, 2, 3))
    return Context(first, before, other, np.random.default_rng(100 + seed))


def test_failures_of_the_making_and_further_ones_are_told_apart() -> None:
    assert not set(FAILURES) & set(FURTHER)
    assert (len(FAILURES), len(FURTHER)) == (8, 6)


@pytest.mark.parametrize("kind", EVERY)
@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 20))
def test_any_image_can_be_broken(kind: str, channels: int, height: int, width: int) -> None:
    shape = (2, channels, height, width)
    images = draw(shape)
    given = images.copy()
    broken = EVERY[kind](images, context(shape))
    assert broken.shape == images.shape
    assert broken.dtype == np.float32
    assert np.isfinite(broken).all()
    np.testing.assert_array_equal(images, given)  # left as it was


@pytest.mark.parametrize("kind", EVERY)
def test_a_failure_changes_the_images_and_is_the_same_for_the_same_seed(kind: str) -> None:
    images = draw()
    broken = EVERY[kind](images, context())
    assert np.abs(broken - images).max() > 0.1
    np.testing.assert_array_equal(EVERY[kind](images, context()), broken)


@pytest.mark.parametrize("kind", sorted(KEEP_HOLES))
def test_holes_stay_holes(kind: str) -> None:
    images = draw()
    images[:, :, 2:12, 5:9] = np.nan
    broken = EVERY[kind](images, context())
    assert np.isnan(broken).any()
    if kind in {"dark", "soiled", "blurred", "flickering"}:
        np.testing.assert_array_equal(np.isnan(broken), np.isnan(images))


@pytest.mark.parametrize(("kind", "value"), [("black", 0.0), ("bright", 1.0)])
def test_black_and_bright_images_have_one_value_even_where_nothing_was_measured(kind: str, value: float) -> None:
    images = draw()
    images[0] = np.nan
    assert (EVERY[kind](images, context()) == value).all()


def test_noise_is_white_and_differs_from_seed_to_seed() -> None:
    noise = FAILURES["noise"](draw(), context())
    assert noise.mean() == pytest.approx(0.5, abs=0.02)
    assert noise.std() == pytest.approx(12**-0.5, abs=0.02)
    assert not np.array_equal(noise, FAILURES["noise"](draw(), context(seed=1)))


def test_a_dark_image_keeps_its_content() -> None:
    np.testing.assert_allclose(FAILURES["dark"](draw(), context()), 0.15 * draw(), rtol=1e-6)


def test_frozen_late_and_other_images_come_from_the_context() -> None:
    given = context()
    assert FAILURES["frozen"](draw(), given) is given.first
    assert FAILURES["other_frame"](draw(), given) is given.other
    assert FURTHER["late"](draw(), given) is given.before


def test_a_shift_is_an_eighth_to_the_right() -> None:
    images = draw()
    shifted = FAILURES["shifted"](images, context())
    np.testing.assert_array_equal(shifted[..., 4:], images[..., :-4])
    np.testing.assert_array_equal(shifted[..., :4], images[..., 3::-1])


def test_the_lower_half_is_lost() -> None:
    lost = FAILURES["half_lost"](draw(), context())
    np.testing.assert_array_equal(lost[:, :, :12], draw()[:, :, :12])
    assert (lost[:, :, 12:] == 0).all()


def test_a_soiled_image_has_a_grey_spot_of_a_fifth() -> None:
    shape = (1, 1, 96, 128)
    soiled = FURTHER["soiled"](draw(shape), context(shape))
    grey = soiled == np.float32(0.3)
    assert grey.mean() == pytest.approx(0.2, abs=0.03)
    assert grey[0, 0, 43, 51]
    np.testing.assert_array_equal(soiled[:, :, -10:], draw(shape)[:, :, -10:])


def test_a_blurred_image_keeps_its_mean_and_loses_its_steps() -> None:
    blurred = FURTHER["blurred"](draw(), context())
    assert blurred.mean() == pytest.approx(float(draw().mean()), abs=0.02)
    assert np.abs(np.diff(blurred)).mean() < 0.2 * np.abs(np.diff(draw())).mean()


def test_a_mirrored_image_mirrored_again_is_the_image() -> None:
    mirrored = FURTHER["mirrored"](draw(), context())
    np.testing.assert_array_equal(mirrored[..., 0], draw()[..., -1])
    np.testing.assert_array_equal(FURTHER["mirrored"](mirrored, context()), draw())


def test_every_eighth_line_is_repeated() -> None:
    lost = FURTHER["lines_lost"](draw(), context())
    for row in range(24):
        np.testing.assert_array_equal(lost[:, :, row], draw()[:, :, row // 8 * 8])


def test_a_flickering_image_has_another_factor_in_each_frame() -> None:
    images = 0.3 * draw((64, 1, 8, 8))
    factors = FURTHER["flickering"](images, context((64, 1, 8, 8))) / images
    assert np.ptp(factors, (1, 2, 3)).max() < 1e-5
    means = factors.mean((1, 2, 3))
    assert len(np.unique(means)) == 64
    assert 0.2 <= means.min() < 0.4
    assert 2 < means.max() <= 3
    assert FURTHER["flickering"](draw(), context()).max() <= 1
