"""Displacement fields: injected maps are recovered, and the standard error is the error that is made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.alignment.corners import image_corners
from sensorproof.alignment.registration.displacement_field import Field, fit_field

POINTS = np.array([[y, x] for y in (-60.0, 0, 60) for x in (-80.0, 0, 80)])
SIZE = (240.0, 320.0)
ONES = np.ones(len(POINTS))
small = st.floats(-0.05, 0.05)


@given(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), st.tuples(small, small, small, small))
def test_an_affine_map_is_recovered(shift: tuple[float, float], entries: tuple[float, ...]) -> None:
    matrix = np.array(entries).reshape(2, 2)
    field = fit_field(POINTS, np.array(shift) + POINTS @ matrix.T, ONES, "affine")
    assert field.shift == pytest.approx(np.array(shift), abs=1e-6)
    assert field.matrix == pytest.approx(matrix, abs=1e-8)
    assert field.at(image_corners(SIZE)) == pytest.approx(np.array(shift) + image_corners(SIZE) @ matrix.T, abs=1e-5)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_scale_and_rotation_of_a_similarity_are_recovered(percent: float, degrees: float) -> None:
    angle = np.radians(degrees)
    rotated = (1 + percent / 100) * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    field = fit_field(POINTS, POINTS @ (rotated - np.eye(2)).T, ONES, "similarity")
    assert field.rotation_deg == pytest.approx(degrees, abs=1e-6)
    assert field.scale_percent == pytest.approx(100 * (np.cos(angle) * (1 + percent / 100) - 1), abs=1e-6)


def test_outliers_are_left_out() -> None:
    vectors = np.tile([1.0, -2.0], (9, 1))
    vectors[4] = [9, 9]
    field = fit_field(POINTS, vectors, ONES, "affine")
    assert field.tiles == 8
    assert field.at(POINTS) == pytest.approx(np.tile([1.0, -2.0], (9, 1)), abs=1e-9)


@pytest.mark.parametrize(("tiles", "model"), [(9, "affine"), (5, "similarity"), (3, "shift"), (1, "shift")])
def test_few_tiles_get_a_simpler_model(tiles: int, model: str) -> None:
    field = fit_field(POINTS[:tiles], np.tile([1.0, 2.0], (tiles, 1)), ONES[:tiles], "affine")
    assert field.model == model
    assert field.shift == pytest.approx([1, 2])


@pytest.mark.parametrize("model", ["affine", "similarity"])
def test_the_standard_error_is_the_error_that_is_made(model: str) -> None:
    rng, corners = np.random.default_rng(0), image_corners(SIZE)
    squared_errors, squared_standard_errors = [], []
    for _ in range(400):
        field = fit_field(POINTS, rng.normal(0, 0.3, (9, 2)), ONES, model)  # type: ignore[arg-type]
        squared_errors.append((field.at(corners) ** 2).sum(1))
        squared_standard_errors.append(field.error_at(corners) ** 2)
    assert np.mean(squared_standard_errors) == pytest.approx(np.mean(squared_errors), rel=0.15)


@given(st.floats(0.25, 4))
def test_another_unit_changes_lengths_only(factor: float) -> None:
    rng = np.random.default_rng(1)
    field = fit_field(POINTS, rng.normal(0, 0.5, (9, 2)) + POINTS * 0.01, ONES, "affine")
    refitted = fit_field(POINTS * factor, (field.at(POINTS) * factor), ONES, "affine")
    scaled = field.scaled(factor)
    assert scaled.at(POINTS * factor) == pytest.approx(refitted.at(POINTS * factor), abs=1e-6)
    assert scaled.error_at(POINTS * factor) == pytest.approx(field.error_at(POINTS) * factor, rel=1e-6)


def test_without_covariance_the_error_is_unknown() -> None:
    field = Field(np.zeros(2), np.zeros((2, 2)), np.full((4, 4), np.nan), "similarity", 0)
    assert np.isnan(field.error_at(image_corners(SIZE))).all()


def test_tiles_on_one_line_do_not_determine_the_direction_across_it() -> None:
    line = np.array([[0.0, x] for x in range(-60, 61, 15)])
    field = fit_field(line, line * 0.01, np.ones(len(line)), "affine")
    assert field.matrix == pytest.approx(np.diag([0, 0.01]), abs=1e-6)
    assert field.error_at(image_corners(SIZE)).min() > 1000
