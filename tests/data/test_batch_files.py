"""Every file that a batch names is read with doubt: what is wrong is a finding with its frame and sensor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.batches import edit_frames, edit_info, make_batch, put
from sensorproof.data.batch import read_batch
from sensorproof.data.frame_checks import load_frame


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return make_batch(tmp_path / "yard")


def findings(root: Path) -> list[tuple[str, str, str, str]]:
    """(frame, sensor, severity, fault) of every finding in the batch."""
    read = read_batch(root)
    found = [f for k in range(len(read.frames)) for f in load_frame(read, k)[1]]
    assert all(f.fix and f.file and "\n" not in f.fault + f.fix for f in found)
    return [(f.frame_id, f.sensor, f.severity, f.fault) for f in found]


def broken(batch: Path, relative: str, change: Callable[[Path], object]) -> tuple[str, str, str, str]:
    """The only finding after one file has been changed."""
    change(batch / relative)
    (found,) = findings(batch)
    return found


@pytest.mark.parametrize("relative", ["camera/f001.png", "thermal/f001.png", "lidar/f001.npy", "label/f001.png"])
def test_missing_truncated_and_foreign_files(batch: Path, relative: str) -> None:
    path = batch / relative
    data = path.read_bytes()
    sensor = relative.split("/")[0]
    for change, fault in (
        (lambda p: p.write_bytes(data[: len(data) // 2]), "is not a whole"),
        (lambda p: p.write_bytes(b""), "is not a whole"),
        (lambda p: p.write_bytes(b"no image" * 50), "is not a whole"),
        (lambda p: p.unlink(), "is missing"),
        (lambda p: p.mkdir(), "is missing"),
    ):
        frame, name, severity, said = broken(batch, relative, change)
        assert (frame, name, severity) == ("f001", sensor, "critical")
        assert fault in said


@pytest.mark.parametrize(
    ("relative", "array", "fault"),
    [
        ("camera/f001.png", np.zeros((12, 16), np.uint8), "has 1 channels, batch.yaml says 3"),
        ("camera/f001.png", np.zeros((12, 16, 4), np.uint8), "has 4 channels, batch.yaml says 3"),
        ("thermal/f001.png", np.zeros((12, 16, 3), np.uint8), "has 3 channels, batch.yaml says 1"),
        ("lidar/f001.npy", np.zeros((12, 16), np.float32), "has 1 channels, batch.yaml says 2"),
        ("lidar/f001.npy", np.zeros((2, 12, 16), np.float32), "has 16 channels, batch.yaml says 2"),
        ("lidar/f001.npy", np.zeros((1, 2, 12, 16), np.float32), "has shape (1, 2, 12, 16)"),
        ("lidar/f001.npy", np.zeros((0, 16, 2), np.float32), ""),
        ("lidar/f001.npy", np.zeros((12, 16, 2), np.complex64), "holds complex64"),
        ("lidar/f001.npy", np.zeros((12, 16, 2), "U3"), "holds <U3"),
        ("lidar/f001.npy", np.full((12, 16, 2), np.nan, np.float32), "has no valid pixel"),
        ("lidar/f001.npy", np.full((12, 16, 2), np.inf), "has no valid pixel"),
        ("lidar/f001.npy", np.full((12, 16, 2), 1e300), "has no valid pixel"),
        ("thermal/f001.png", np.zeros((12, 16), np.uint16), "has no valid pixel"),
        ("label/f001.png", np.zeros((12, 16, 3), np.uint8), "has 3 channels"),
        ("label/f001.png", np.full((12, 16), 7, np.uint8), "has labels [7] outside the classes"),
        ("label/f001.png", np.full((12, 16), 300, np.uint16), "has labels [300] outside the classes"),
        ("label/f001.png", np.zeros((12, 15), np.uint8), "is 12 x 15, the reference 12 x 16"),
    ],
)
def test_wrong_shapes_types_and_values(batch: Path, relative: str, array: np.ndarray, fault: str) -> None:
    def change(path: Path) -> None:
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            Image.fromarray(array).save(path)

    frame, sensor, severity, said = broken(batch, relative, change)
    assert (frame, sensor, severity) == ("f001", relative.split("/")[0], "critical")
    assert fault in said


def test_pickles_are_not_loaded(batch: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (batch / "opened",))

    array = np.empty((12, 16, 2), object)
    array.fill(Trap())
    np.save(batch / "lidar/f001.npy", array, allow_pickle=True)
    assert "holds Python objects, which are not read" in findings(batch)[0][3]
    assert not (batch / "opened").exists()


def test_values_out_of_range_are_a_warning_and_some_nan_is_none(batch: Path) -> None:
    pixels = np.load(batch / "lidar/f001.npy").astype(np.float32)
    pixels[:3] = np.nan
    np.save(batch / "lidar/f001.npy", pixels)
    assert findings(batch) == []
    frame, _ = load_frame(read_batch(batch), 1)
    assert np.isnan(frame.images["lidar"][:, :3]).all()
    pixels[3:6] = 1000
    np.save(batch / "lidar/f001.npy", pixels)
    ((frame_id, sensor, severity, fault),) = findings(batch)
    assert (frame_id, sensor, severity) == ("f001", "lidar", "warning")
    assert fault == "has 25.0 % of its values outside [0.0, 100.0]"


def test_nodata_is_invalid_in_every_channel_only(batch: Path) -> None:
    edit_info(batch, put("sensors", "lidar", "nodata", value=0))
    pixels = np.ones((12, 16, 2), np.float32)
    pixels[0], pixels[1, :, 0] = 0, 0
    np.save(batch / "lidar/f000.npy", pixels)
    image = load_frame(read_batch(batch), 0)[0].images["lidar"]
    assert np.isnan(image[:, 0]).all()
    assert np.isfinite(image[:, 1:]).all()


def test_absent_sensors_and_labels_are_no_fault_but_no_sensor_at_all_is(batch: Path) -> None:
    edit_frames(batch, lambda rows: rows[1].update(thermal="", thermal_time="", label=""))
    frame, found = load_frame(read_batch(batch), 1)
    assert (sorted(frame.images), frame.label, found) == (["camera", "lidar"], None, [])
    for sensor in ("camera", "lidar"):
        edit_frames(batch, lambda rows, s=sensor: rows[1].update({s: "", f"{s}_time": ""}))
    ((frame_id, _, severity, fault),) = findings(batch)
    assert (frame_id, severity, fault) == ("f001", "critical", "has no sensor")
