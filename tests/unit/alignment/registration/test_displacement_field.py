"""Fields through tile vectors: what was put in comes back, and the error that they claim is the error they have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.alignment.registration.displacement_field import Field, corners_of, fit_field
from sensorproof.alignment.registration.hough_vote import corner_gap, hypotheses, moves
from sensorproof.alignment.registration.phase_correlation import make_grid

POINTS = np.array([[y, x] for y in (-60.0, 0, 60) for x in (-80.0, 0, 80)])
SIZE = (240.0, 320.0)
ONES = np.ones(len(POINTS))
small = st.floats(-0.05, 0.05)


@given(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), st.tuples(small, small, small, small))
def test_an_affine_map_comes_back(shift: tuple[float, float], entries: tuple[float, ...]) -> None:
    matrix = np.array(entries).reshape(2, 2)
    field = fit_field(POINTS, np.array(shift) + POINTS @ matrix.T, ONES, "affine")
    assert field.shift == pytest.approx(np.array(shift), abs=1e-6)
    assert field.matrix == pytest.approx(matrix, abs=1e-8)
    assert field.at(corners_of(SIZE)) == pytest.approx(np.array(shift) + corners_of(SIZE) @ matrix.T, abs=1e-5)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_similarity_says_its_scale_and_rotation(percent: float, degrees: float) -> None:
    angle = np.radians(degrees)
    turned = (1 + percent / 100) * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    field = fit_field(POINTS, POINTS @ (turned - np.eye(2)).T, ONES, "similarity")
    assert field.rotation_deg == pytest.approx(degrees, abs=1e-6)
    assert field.scale_percent == pytest.approx(100 * (np.cos(angle) * (1 + percent / 100) - 1), abs=1e-6)


def test_tiles_far_off_are_left_out() -> None:
    vectors = np.tile([1.0, -2.0], (9, 1))
    vectors[4] = [9, 9]
    field = fit_field(POINTS, vectors, ONES, "affine")
    assert field.tiles == 8
    assert field.at(POINTS) == pytest.approx(np.tile([1.0, -2.0], (9, 1)), abs=1e-9)


@pytest.mark.parametrize(("tiles", "model"), [(9, "affine"), (5, "similarity"), (3, "shift"), (1, "shift")])
def test_few_tiles_get_a_poorer_model(tiles: int, model: str) -> None:
    field = fit_field(POINTS[:tiles], np.tile([1.0, 2.0], (tiles, 1)), ONES[:tiles], "affine")
    assert field.model == model
    assert field.shift == pytest.approx([1, 2])


@pytest.mark.parametrize("model", ["affine", "similarity"])
def test_the_error_claimed_is_the_error_made(model: str) -> None:
    rng, corners = np.random.default_rng(0), corners_of(SIZE)
    made, claimed = [], []
    for _ in range(400):
        field = fit_field(POINTS, rng.normal(0, 0.3, (9, 2)), ONES, model)  # type: ignore[arg-type]
        made.append((field.at(corners) ** 2).sum(1))
        claimed.append(field.error_at(corners) ** 2)
    assert np.mean(claimed) == pytest.approx(np.mean(made), rel=0.15)


@given(st.floats(0.25, 4))
def test_pixels_of_another_size_change_lengths_only(factor: float) -> None:
    rng = np.random.default_rng(1)
    field = fit_field(POINTS, rng.normal(0, 0.5, (9, 2)) + POINTS * 0.01, ONES, "affine")
    other = fit_field(POINTS * factor, (field.at(POINTS) * factor), ONES, "affine")
    scaled = field.scaled(factor)
    assert scaled.at(POINTS * factor) == pytest.approx(other.at(POINTS * factor), abs=1e-6)
    assert scaled.error_at(POINTS * factor) == pytest.approx(field.error_at(POINTS) * factor, rel=1e-6)


def test_the_gap_between_hypotheses_is_that_of_their_corners() -> None:
    grid = make_grid(120, 160, 3, 256)
    assert grid is not None
    pairs, shifts = hypotheses(grid, 4), np.random.default_rng(0).normal(size=(3, 3, 2))
    found = corner_gap(grid, pairs, shifts)
    corners = corners_of((float(grid.image[0]), float(grid.image[1])))
    for h in range(0, len(pairs), 3):
        for i, j in np.ndindex(3, 3):
            off = moves(corners, pairs[h : h + 1])[0] + shifts[i, j]
            assert found[h, i, j] == pytest.approx(np.hypot(*off.T).max())


def test_nothing_known_is_said_so() -> None:
    field = Field(np.zeros(2), np.zeros((2, 2)), np.full((4, 4), np.nan), "similarity", 0)
    assert np.isnan(field.error_at(corners_of(SIZE))).all()


def test_tiles_on_one_line_leave_open_what_lies_across_it() -> None:
    line = np.array([[0.0, x] for x in range(-60, 61, 15)])
    field = fit_field(line, line * 0.01, np.ones(len(line)), "affine")
    assert field.matrix == pytest.approx(np.diag([0, 0.01]), abs=1e-6)
    assert field.error_at(corners_of(SIZE)).min() > 1000
