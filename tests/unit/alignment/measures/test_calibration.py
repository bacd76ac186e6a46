"""Calibration: what is no camera matrix, no rigid motion, no view of the same scene, or from another day."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.synthetic_scenes import CALIBRATION, START, info
from sensorproof.alignment.measures.calibration import (
    CalibrationMeasures,
    calibration_measures,
    loop_error,
    rotation_error,
)

SIZES = {"camera": (144, 192), "other": (144, 192)}


def measures(first_s: float = START, **calibration: object) -> CalibrationMeasures:
    """Of the sensor `other`, with entries of its calibration changed."""
    described = info(other={"calibration": {**CALIBRATION, **calibration}})
    return calibration_measures(described, "other", SIZES, first_s)


def pose(degrees: float, offset: tuple[float, float, float]) -> list[float]:
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = offset
    return matrix.ravel().tolist()


def test_a_sound_calibration_has_no_error() -> None:
    found = measures()
    assert (found.has_calibration, found.intrinsics_fault, found.principal_point_offset) == (1, 0, 0)
    assert max(found.rotation_error, found.loop_error, found.view_error_px) < 1e-9
    days = (datetime.fromtimestamp(START, UTC) - datetime(2025, 6, 1, tzinfo=UTC)).total_seconds() / 86400
    assert found.calibration_age_days == pytest.approx(days)


def test_a_sensor_without_calibration_abstains() -> None:
    found = calibration_measures(info(other={"calibration": None}), "other", SIZES, START)
    assert found.has_calibration == 0
    assert np.isnan([found.intrinsics_fault, found.rotation_error, found.view_error_px]).all()


@pytest.mark.parametrize(
    "matrix",
    [
        [-150.0, 0, 96, 0, 150, 72, 0, 0, 1],
        [150.0, 0, 96, 0, 0, 72, 0, 0, 1],
        [150.0, 0, 96, 0, 150, 72, 0, 0, 2],
        [150.0, 0, 0, 0, 150, 0, 96, 72, 1],  # transposed
    ],
)
def test_what_is_no_camera_matrix_is_told(matrix: list[float]) -> None:
    assert measures(K=matrix).intrinsics_fault == 1


@pytest.mark.parametrize(("factor", "offset"), [(2, 0.5), (0.5, 0.25), (1, 0)])
def test_the_principal_point_tells_intrinsics_of_another_resolution(factor: float, offset: float) -> None:
    """Of the whole rig, too, where no other sensor contradicts them."""
    matrix = [150.0 * factor, 0, 96 * factor, 0, 150 * factor, 72 * factor, 0, 0, 1]
    assert measures(K=matrix).principal_point_offset == pytest.approx(offset)
    unknown = calibration_measures(info(), "other", {}, START)
    assert np.isnan(unknown.principal_point_offset)


def test_intrinsics_of_another_resolution_claim_another_view() -> None:
    """K of the full image with images of half its size: the commonest slip."""
    assert measures(K=[300.0, 0, 192, 0, 300, 144, 0, 0, 1]).view_error_px > 50
    halved = {**SIZES, "other": (72, 96)}
    described = info(other={"calibration": {**CALIBRATION, "K": [75.0, 0, 48, 0, 75, 36, 0, 0, 1]}})
    assert calibration_measures(described, "other", halved, START).view_error_px == pytest.approx(0, abs=1e-9)


@given(st.floats(-180, 180), st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)))
def test_rigid_motions_are_rigid_and_their_loops_close(degrees: float, offset: tuple[float, float, float]) -> None:
    matrix = np.array(pose(degrees, offset)).reshape(4, 4)
    assert rotation_error(matrix) < 1e-9
    assert loop_error(matrix, is_reference=False) < 1e-9


@given(st.integers(0, 8), st.floats(0.01, 1).map(lambda v: v))
def test_any_entry_of_a_rotation_that_is_off_is_told(entry: int, by: float) -> None:
    matrix = np.array(pose(30, (1, 2, 3))).reshape(4, 4)
    matrix[divmod(entry, 3)] += by
    assert max(rotation_error(matrix), loop_error(matrix, is_reference=False)) > 0.001


def test_a_mirror_and_a_reference_that_is_not_at_the_origin_are_told() -> None:
    assert rotation_error(np.diag([1.0, 1, -1, 1])) == pytest.approx(2)
    assert loop_error(np.array(pose(0, (0.1, 0, 0))).reshape(4, 4), is_reference=True) == pytest.approx(0.1)


@pytest.mark.parametrize("stamp", [5.0, np.nan, 1.75e18])
def test_stamps_without_a_date_tell_no_age(stamp: float) -> None:
    assert np.isnan(measures(stamp).calibration_age_days)


def test_a_calibration_may_be_newer_than_its_frames() -> None:
    assert measures(captured="2025-12-01").calibration_age_days < -100
