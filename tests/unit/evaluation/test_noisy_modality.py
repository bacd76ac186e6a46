"""Protocol NM: salt, pepper and Gaussian noise of known density and deviation."""

import numpy as np
import pytest

from sensorproof.evaluation.noisy_modality import LEVELS, add_noise


@pytest.mark.parametrize("level", LEVELS)
def test_the_noise_has_the_density_and_deviation_of_its_level(level: str) -> None:
    density, sigma = LEVELS[level]
    pixels = np.zeros((1, 400, 500), np.float32)
    pixels[0, 0, :2] = -40, 60
    noisy = add_noise(pixels, level, np.random.default_rng(0))
    salt, pepper = (noisy > 50).mean(), (noisy < -30).mean()
    assert salt == pytest.approx(density / 2, rel=0.05)
    assert pepper == pytest.approx(density / 2, rel=0.05)
    rest = noisy[np.abs(noisy) < 20]
    assert rest.std() == pytest.approx(sigma, rel=0.02)
    assert rest.mean() == pytest.approx(0, abs=0.01)


def test_invalid_pixels_stay_invalid_and_a_seed_repeats_the_noise() -> None:
    pixels = np.random.default_rng(1).normal(size=(2, 20, 30)).astype(np.float32)
    pixels[:, 3:5] = np.nan
    first, second = (add_noise(pixels, "high", np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.isnan(first), np.isnan(pixels))
    assert first.dtype == np.float32
