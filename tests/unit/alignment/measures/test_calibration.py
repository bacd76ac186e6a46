"""Calibration: faulty camera matrices, poses, views and dates."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.synthetic_scenes import CALIBRATION, START, batch_info
from sensorproof.alignment.measures.calibration import (
    CalibrationMeasures,
    loop_error,
    measure_calibration,
    rotation_error,
)

SIZES = {"camera": (144, 192), "other": (144, 192)}


def measured(first_s: float = START, **calibration: object) -> CalibrationMeasures:
    """The measures of the sensor `other` with changed entries of its calibration."""
    info = batch_info(other={"calibration": {**CALIBRATION, **calibration}})
    return measure_calibration(info, "other", SIZES, first_s)


def make_pose(degrees: float, offset: tuple[float, float, float]) -> np.ndarray:
    """The pose (4, 4) of a rotation about the optical axis and an offset."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = offset
    return matrix


def test_a_fault_free_calibration_has_no_error() -> None:
    measures = measured()
    assert (measures.has_calibration, measures.intrinsics_fault, measures.principal_point_offset) == (1, 0, 0)
    assert max(measures.rotation_error, measures.loop_error, measures.view_error_px) < 1e-9
    days = (datetime.fromtimestamp(START, UTC) - datetime(2025, 6, 1, tzinfo=UTC)).total_seconds() / 86400
    assert measures.calibration_age_days == pytest.approx(days)


def test_a_sensor_without_calibration_abstains() -> None:
    measures = measure_calibration(batch_info(other={"calibration": None}), "other", SIZES, START)
    assert measures.has_calibration == 0
    assert np.isnan([measures.intrinsics_fault, measures.rotation_error, measures.view_error_px]).all()


@pytest.mark.parametrize(
    "matrix",
    [
        [-150.0, 0, 96, 0, 150, 72, 0, 0, 1],
        [150.0, 0, 96, 0, 0, 72, 0, 0, 1],
        [150.0, 0, 96, 0, 150, 72, 0, 0, 2],
        [150.0, 0, 0, 0, 150, 0, 96, 72, 1],  # transposed
    ],
)
def test_a_matrix_that_is_not_a_camera_matrix_is_a_fault(matrix: list[float]) -> None:
    assert measured(K=matrix).intrinsics_fault == 1


@pytest.mark.parametrize(("factor", "offset"), [(2, 0.5), (0.5, 0.25), (1, 0)])
def test_the_principal_point_shows_intrinsics_of_another_resolution(factor: float, offset: float) -> None:
    """Even if all sensors of the rig have the same fault."""
    matrix = [150.0 * factor, 0, 96 * factor, 0, 150 * factor, 72 * factor, 0, 0, 1]
    assert measured(K=matrix).principal_point_offset == pytest.approx(offset)
    unknown = measure_calibration(batch_info(), "other", {}, START)
    assert np.isnan(unknown.principal_point_offset)


def test_intrinsics_of_another_resolution_give_another_view() -> None:
    """K of the full image with images of half its size: the most common mistake."""
    assert measured(K=[300.0, 0, 192, 0, 300, 144, 0, 0, 1]).view_error_px > 50
    halved = {**SIZES, "other": (72, 96)}
    info = batch_info(other={"calibration": {**CALIBRATION, "K": [75.0, 0, 48, 0, 75, 36, 0, 0, 1]}})
    assert measure_calibration(info, "other", halved, START).view_error_px == pytest.approx(0, abs=1e-9)


@given(st.floats(-180, 180), st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)))
def test_rigid_motions_are_rigid_and_their_loops_close(degrees: float, offset: tuple[float, float, float]) -> None:
    matrix = make_pose(degrees, offset)
    assert rotation_error(matrix) < 1e-9
    assert loop_error(matrix, is_reference=False) < 1e-9


@given(st.integers(0, 8), st.floats(0.01, 1))
def test_any_wrong_entry_of_a_rotation_is_an_error(entry: int, by: float) -> None:
    matrix = make_pose(30, (1, 2, 3))
    matrix[divmod(entry, 3)] += by
    assert max(rotation_error(matrix), loop_error(matrix, is_reference=False)) > 0.001


def test_a_mirror_and_a_reference_that_is_not_at_the_origin_are_errors() -> None:
    assert rotation_error(np.diag([1.0, 1, -1, 1])) == pytest.approx(2)
    assert loop_error(make_pose(0, (0.1, 0, 0)), is_reference=True) == pytest.approx(0.1)


@pytest.mark.parametrize("stamp", [5.0, np.nan, 1.75e18])
def test_timestamps_without_a_date_give_no_age(stamp: float) -> None:
    assert np.isnan(measured(stamp).calibration_age_days)


def test_the_age_of_a_calibration_newer_than_its_frames_is_negative() -> None:
    assert measured(captured="2025-12-01").calibration_age_days < -100
