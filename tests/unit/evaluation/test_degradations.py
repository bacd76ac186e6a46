"""Degradations of single images, for every kind of sensor and severity."""

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from sensorproof.data.batch import Sensor
from sensorproof.evaluation.degradations import (
    DEGRADATIONS,
    SEVERITIES,
    STREAM,
    Image,
    degradation_names,
    degrade,
    earlier_place,
)

WAYS = [(kind, name) for kind, ways in DEGRADATIONS.items() for name in ways]
CHANNELS = {"camera": 3, "lidar": 2}


def scene(channels: int = 1) -> Image:
    """Shapes and a gradient between 0.1 and 0.9, with a corner that is invalid."""
    y, x = np.mgrid[:48, :64]
    image = 0.2 + 0.4 * x / 64 + 0.2 * ((x // 9 + y // 7) % 2)
    image = np.stack([image * (1 - 0.1 * c) for c in range(channels)]).astype(np.float32)
    image[:, :6, :8] = np.nan
    return image


def apply(kind: str, name: str, severity: int, seed: int = 0) -> Image:
    return degrade(kind, name, scene(CHANNELS.get(kind, 1)), severity, np.random.default_rng(seed))


def change(kind: str, name: str, severity: int) -> float:
    """How far a degraded image is from the sound one; a pixel that is lost counts as one that is all wrong."""
    before, after = scene(CHANNELS.get(kind, 1)), apply(kind, name, severity)
    known = np.isfinite(before)
    if name == "fog":  # its colour can be near the scene's: what counts is how much of the scene is left
        covariance = np.cov(before[known], after[known])
        return float(1 - covariance[0, 1] / covariance[0, 0])
    return float(np.nan_to_num(np.abs(after - before), nan=1.0)[known].mean())


def test_every_kind_of_sensor_has_degradations() -> None:
    assert set(DEGRADATIONS) == set(get_args(Sensor.model_fields["kind"].annotation))
    assert degradation_names("thermal") == ("motion_blur", "low_resolution", "stripes", "frozen", "delayed")


@pytest.mark.parametrize(("kind", "name"), WAYS)
def test_a_higher_severity_is_worse_and_the_same_seed_the_same(kind: str, name: str) -> None:
    changes = [change(kind, name, severity) for severity in SEVERITIES]
    assert changes[0] > 0
    assert changes[-1] > 1.02 * changes[0]
    assert all(later > 0.95 * earlier for earlier, later in pairwise(changes)), changes
    for severity in SEVERITIES:
        image = apply(kind, name, severity)
        assert image.dtype == np.float32
        assert image.shape == scene(CHANNELS.get(kind, 1)).shape
        np.testing.assert_array_equal(image, apply(kind, name, severity))


@pytest.mark.parametrize(("kind", "name"), [way for way in WAYS if way[1] not in ("jitter", "returns_lost")])
def test_invalid_pixels_stay_invalid_and_no_others_become_so(kind: str, name: str) -> None:
    before, after = scene(CHANNELS.get(kind, 1)), apply(kind, name, 5)
    np.testing.assert_array_equal(np.isnan(before), np.isnan(after))


def test_an_image_without_a_valid_pixel_stays_so() -> None:
    empty = np.full((1, 48, 64), np.nan, np.float32)
    for kind, name in WAYS:
        assert np.isnan(degrade(kind, name, empty, 3, np.random.default_rng(0))).all(), (kind, name)


def test_small_images_can_be_degraded() -> None:
    image = np.random.default_rng(0).random((1, 5, 3), dtype=np.float32)
    for kind, name in WAYS:
        assert DEGRADATIONS[kind][name](image, 5, np.random.default_rng(0)).shape == image.shape


def test_returns_are_lost_in_all_channels_and_by_the_share_of_the_severity() -> None:
    before, after = scene(2), apply("lidar", "returns_lost", 3)
    lost = np.isnan(after) & np.isfinite(before)
    assert (lost[0] == lost[1]).all()
    assert lost.sum() / np.isfinite(before).sum() == pytest.approx(0.6, abs=0.03)
    fewer = np.isnan(apply("lidar", "returns_lost", 2)) & np.isfinite(before)
    assert not (fewer & ~lost).any()  # a severity adds to what the one below has lost


def test_exposure_is_that_of_light_and_saturates() -> None:
    flat = np.full((3, 8, 8), 0.5, np.float32)
    over = DEGRADATIONS["camera"]["over_exposure"](flat, 5, np.random.default_rng(0))
    assert over.max() == 1.0  # 0.5 ** 2.2 * 6 > 1
    under = DEGRADATIONS["camera"]["under_exposure"](flat, 5, np.random.default_rng(0))
    assert under[0, 0, 0] == pytest.approx((0.5**2.2 * 0.06) ** (1 / 2.2), abs=1 / 255)


def test_an_earlier_image_of_the_stream_is_shown() -> None:
    place = np.arange(9)
    assert earlier_place("frozen", 1, place).tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8]
    assert earlier_place("delayed", 3, place).tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert all(len(frames) == len(SEVERITIES) for frames in STREAM.values())
