"""How an audit breaks the images of a batch: what is shown, and that invalid pixels stay invalid."""

from pathlib import Path

import numpy as np
import pytest

from helpers.batches import make_batch
from sensorproof import read_batch
from sensorproof.auditing.corruption import Corruption
from sensorproof.auditing.frames import measure_statistics, rows_of
from sensorproof.data.frame_checks import load_frame


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Eight frames of two sequences."""
    return make_batch(tmp_path / "yard")


@pytest.fixture
def corruption(batch: Path) -> Corruption:
    opened = read_batch(batch)
    rows = rows_of(opened)
    return Corruption(opened, measure_statistics(opened, tuple(opened.sensors), rows), rows)


def test_a_frozen_sensor_shows_the_first_image_of_its_sequence(corruption: Corruption) -> None:
    images = [load_frame(corruption.batch, row)[0].images["camera"] for row in range(8)]
    frozen = corruption.apply("silent", "frozen", "camera", 5, images[5])
    np.testing.assert_allclose(frozen, images[4], atol=1e-3)
    other = corruption.apply("silent", "other_frame", "camera", 5, images[5])
    shown = [row for row in range(8) if np.allclose(other, images[row], atol=1e-3)]
    assert len(shown) == 1
    assert shown[0] not in (4, 5)


def test_invalid_pixels_stay_invalid_and_black_is_not_declared_empty(corruption: Corruption) -> None:
    pixels = load_frame(corruption.batch, 0)[0].images["thermal"]
    pixels[:, 2:4] = np.nan
    for protocol, kind in corruption.kinds("thermal", ("noise", "silent"), ()):
        broken = corruption.apply(protocol, kind, "thermal", 0, pixels)
        assert broken.shape == pixels.shape
        if kind not in ("frozen", "other_frame", "shifted"):
            np.testing.assert_array_equal(np.isnan(broken), np.isnan(pixels))
    black = corruption.apply("silent", "black", "thermal", 0, pixels)
    assert np.nanmax(black) < 1e-30
    assert not (black == 0).any()  # 0 means "no data" for this sensor


def test_a_delayed_sensor_shows_the_frame_before_and_lost_returns_are_invalid(corruption: Corruption) -> None:
    images = [load_frame(corruption.batch, row)[0].images["camera"] for row in range(8)]
    np.testing.assert_allclose(corruption.apply("degradations", "delayed 1", "camera", 5, images[5]), images[4])
    np.testing.assert_allclose(corruption.apply("degradations", "delayed 1", "camera", 4, images[4]), images[4])
    returns = load_frame(corruption.batch, 0)[0].images["lidar"]
    lost = np.isnan(corruption.apply("degradations", "returns_lost 5", "lidar", 0, returns))
    assert lost.mean() == pytest.approx(0.95, abs=0.05)


def test_missing_values_become_the_mean_of_the_batch(corruption: Corruption) -> None:
    pixels = load_frame(corruption.batch, 0)[0].images["camera"]
    thinned = corruption.thin("camera", 0.5, 0, pixels)
    changed = thinned != pixels
    assert changed.mean() == pytest.approx(0.5, abs=0.1)
    mean = np.broadcast_to(corruption.statistics["camera"].mean, pixels.shape)
    np.testing.assert_array_equal(thinned[changed], mean[changed])
    assert not (changed & ~(corruption.thin("camera", 0.75, 0, pixels) != pixels)).any()
