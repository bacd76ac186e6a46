"""Real images: two channels of one camera are an aligned pair; faults that are put into it are found."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers import paths
from helpers.synthetic_scenes import CALIBRATION, batch_info, broken_rules, checks, make_batch, quarantined_frames
from sensorproof.alignment import fault_injection
from sensorproof.alignment.frames import RawFrame
from sensorproof.alignment.measurement import BatchMeasurements, measure_batch
from sensorproof.data.batch import Batch

DATA = paths.DATA / "stereo_pothole/pothole_quarter.npz"
FRAMES = 36
ROWS = tuple(range(5, FRAMES, 6))
IDS = {f"f{row:04d}" for row in ROWS}
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs the stereo potholes beside the checkout")


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    with np.load(DATA, allow_pickle=False) as data:
        return np.asarray(data["rgb"][:FRAMES])


@pytest.fixture(scope="module")
def batch() -> Batch:
    calibration = {**CALIBRATION, "K": [400.0, 0, 213.5, 0, 400.0, 128.5, 0, 0, 1]}
    info = batch_info(camera={"channels": 1, "calibration": calibration}, other={"calibration": calibration})
    batch = make_batch(FRAMES)
    return replace(batch, info=info, frames=batch.frames.assign(label=""))


def measured(
    batch: Batch, images: NDArray[np.uint8], change: fault_injection.Change | None = None
) -> BatchMeasurements:
    """The measures with red as the camera and blue as the other sensor, which is changed in ROWS."""

    def read(b: Batch, row: int) -> RawFrame:
        red, blue = images[row, ..., 0], images[row, ..., 2]
        return RawFrame(row, {"camera": red[None].astype(np.float32), "other": blue[None].astype(np.float32)})

    reader = (
        read if change is None else fault_injection.FaultyReader(frozenset(ROWS), frozenset({"other"}), change, read)
    )
    return measure_batch(batch, checks(), reader)


def test_fault_free_images_have_no_false_alarm(batch: Batch, images: NDArray[np.uint8]) -> None:
    measurements = measured(batch, images)
    rig = measurements.rigs["other"]
    assert not quarantined_frames(measurements.table, "other")
    assert rig.state(checks().content) == "aligned"
    assert rig.corner_px < 0.3
    assert rig.measured == FRAMES


@pytest.mark.parametrize(
    ("name", "size"), [("shift", 3), ("shift", 10), ("rotation", 1), ("rotation", 2), ("scale", 1.5), ("scale", 3)]
)
def test_faults_of_critical_size_are_found(batch: Batch, images: NDArray[np.uint8], name: str, size: float) -> None:
    affine = getattr(fault_injection, name)
    assert fault_injection.corner_px(affine(size, 1), (257, 427)) >= 3
    table = measured(batch, images, fault_injection.displace(lambda row: affine(size, row))).table
    assert quarantined_frames(table, "other") == IDS


def test_shifts_are_measured_to_a_quarter_of_a_pixel(batch: Batch, images: NDArray[np.uint8]) -> None:
    for pixels in (1.0, 2.5, 5.0):
        table = measured(
            batch, images, fault_injection.displace(lambda row, p=pixels: fault_injection.shift(p, row))
        ).table
        rows = table[(table.sensor == "other") & table.frame_id.isin(IDS)]
        injected = np.array([fault_injection.shift(pixels, row)[:, 2] for row in ROWS])
        error = np.hypot(*(rows[["shift_y_px", "shift_x_px"]].to_numpy() - injected).T)
        assert np.percentile(error, 90) <= 0.25


def test_a_quarter_of_a_degree_is_measured_but_not_quarantined(batch: Batch, images: NDArray[np.uint8]) -> None:
    table = measured(batch, images, fault_injection.displace(lambda row: fault_injection.rotation(0.25, row))).table
    assert not quarantined_frames(table, "other")
    rows = table[(table.sensor == "other") & table.frame_id.isin(IDS)]
    assert rows.rotation_deg.abs().median() == pytest.approx(0.25, abs=0.05)
    assert broken_rules(table).empty
