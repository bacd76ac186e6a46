"""Overlays: the class colour over what the sensor saw, at the size of the labels."""

import numpy as np
import pytest

from sensorproof.data.metadata import SensorInput
from sensorproof.reporting.overlay import draw_overlay

COLORS = np.zeros((256, 3), np.uint8)
COLORS[7], COLORS[9] = (255, 0, 0), (0, 0, 255)


def sensor(kind: str, channels: int, high: float) -> SensorInput:
    ones = (1.0,) * channels
    return SensorInput(kind=kind, channels=channels, range=(0.0, high), nodata=None, mean=ones, std=ones)


def test_a_camera_is_drawn_in_colour_half_through_the_class() -> None:
    pixels = np.zeros((3, 4, 6), np.float32)
    pixels[1] = 1000.0
    labels = np.full((4, 6), 7, np.uint8)
    labels[:, 3:] = 9
    drawn = np.asarray(draw_overlay(pixels, sensor("camera", 3, 1000.0), labels, COLORS)).astype(int)
    assert drawn.shape == (4, 6, 3)
    np.testing.assert_allclose(drawn[0, 0], (127.5, 127.5, 0), atol=1)
    np.testing.assert_allclose(drawn[0, 5], (0, 127.5, 127.5), atol=1)


def test_other_sensors_are_grey_and_spread_over_their_values() -> None:
    pixels = np.linspace(300, 310, 24, dtype=np.float32).reshape(1, 4, 6)
    pixels[0, 0, 0] = np.nan
    black = np.zeros((4, 6), np.uint8)
    drawn = np.asarray(draw_overlay(pixels, sensor("thermal", 1, 1000.0), black, COLORS)).astype(int)
    assert (drawn == drawn[..., :1]).all()
    assert drawn[0, 0, 0] == 0
    assert drawn[-1, -1, 0] > 125
    assert drawn[0, 1, 0] < 5


@pytest.mark.parametrize(("kind", "channels"), [("camera", 3), ("camera", 1), ("lidar", 2), ("event", 5)])
def test_any_sensor_is_drawn_at_the_size_of_the_labels(kind: str, channels: int) -> None:
    pixels = np.random.default_rng(0).uniform(0, 9, (channels, 3, 5)).astype(np.float32)
    drawn = draw_overlay(pixels, sensor(kind, channels, 9.0), np.full((10, 20), 7, np.uint8), COLORS)
    assert drawn.size == (20, 10)
    empty = draw_overlay(
        np.full_like(pixels, np.nan), sensor(kind, channels, 9.0), np.full((3, 5), 9, np.uint8), COLORS
    )
    assert {tuple(color) for color in np.asarray(empty).reshape(-1, 3)} <= {(0, 0, 127), (0, 0, 128)}
