"""Quality of single images, compared with the same measures computed pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from sensorproof.alignment.measures.image_quality import image_change, measure_quality, thumbnail
from sensorproof.data.batch import Sensor

GRID = 3


def sensor(channels: int) -> Sensor:
    return Sensor(kind="other", channels=channels, range=(0, 3), nodata=None, max_time_offset_s=0, calibration=None)


def is_blank(tile: np.ndarray, limit: float) -> bool:
    """Whether no channel of (C, h, w) varies by more than the limit."""
    spans = [c[np.isfinite(c)].max() - c[np.isfinite(c)].min() if np.isfinite(c).any() else 0 for c in tile]
    return max(spans) <= limit


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.booleans(), st.booleans())
@limits(max_examples=150, deadline=None)
def test_measures_agree_with_a_computation_by_pixel(seed: int, invalid: float, half: bool, column: bool) -> None:
    rng = np.random.default_rng(seed)
    channels, height, width = (int(n) for n in rng.integers((1, 4, 4), (4, 40, 40)))
    image = rng.integers(0, 5, (channels, height, width)).astype(np.float32)
    image[rng.random(image.shape) < invalid] = np.nan
    if half:
        image[:, : height // 2] = 2
    if column:
        image[:, :, 3] = 1
    quality = measure_quality(image, sensor(channels), 0.1, GRID)
    valid = np.isfinite(image)
    assert quality.invalid_share == pytest.approx(1 - valid.mean())
    if not valid.any():
        assert (quality.contrast, quality.blank_tiles) == (0, 2**9 - 1)
        return
    assert quality.saturated_share == pytest.approx((image[valid] >= 3).mean())
    rows, columns = (np.linspace(0, side, GRID + 1).astype(int) for side in (height, width))
    tiles = [
        is_blank(image[:, rows[y] : rows[y + 1], columns[x] : columns[x + 1]], 0.3)
        for y in range(GRID)
        for x in range(GRID)
    ]
    assert [bool(quality.blank_tiles >> k & 1) for k in range(9)] == tiles
    spans = [c[np.isfinite(c)].max() - c[np.isfinite(c)].min() for c in image if np.isfinite(c).any()]
    assert quality.contrast == pytest.approx(max(spans) / 3)
    stuck = [
        np.mean([all(len(set(v[np.isfinite(v)])) == 1 for v in line) for line in np.moveaxis(image, axis, 0)])
        for axis in (1, 2)
    ]
    assert quality.dead_lines == pytest.approx(max(stuck))


def test_an_image_does_not_change_against_itself_and_noise_is_small() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (1, 200, 300)).astype(np.float32)
    assert image_change(thumbnail(image), thumbnail(image)) == 0
    noisy = image + rng.normal(0, 1, image.shape).astype(np.float32)
    assert 0.001 < image_change(thumbnail(image), thumbnail(noisy)) < 0.05
    unrelated = rng.uniform(0, 255, image.shape).astype(np.float32)
    assert image_change(thumbnail(image), thumbnail(unrelated)) > 0.5


def test_images_that_cannot_be_compared_have_no_change() -> None:
    ones, holes = np.ones((1, 8, 8), np.float32), np.full((1, 8, 8), np.nan, np.float32)
    assert np.isnan(image_change(ones, np.ones((1, 4, 4), np.float32)))
    assert np.isnan(image_change(holes, holes))
    assert image_change(ones, holes) == 1  # all valid pixels are gone
