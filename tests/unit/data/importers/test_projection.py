"""Projections by hand: where a point lands, what hides what, which events count."""

import numpy as np
import pytest

from sensorproof.data.importers.public.projection import (
    EMPTY,
    PinholeView,
    count_events,
    draw_points,
    infinite_homography,
    project_points,
    scale_intrinsics,
)

K = np.array([[10.0, 0, 8], [0, 10, 6], [0, 0, 1]])
VIEW = PinholeView(K, (12, 16))
HERE = np.eye(4)


def test_points_land_where_the_pinhole_says() -> None:
    points = np.array([[0, 0, 2.0], [0.25, -0.35, 1], [0, 0, -2], [0.8, 0, 1], [-0.8, 0, 1], [0, 0.55, 1]])
    places, inside = project_points(points, HERE, VIEW)
    # Straight ahead; (10.5, 2.5); behind; on the last column; on the first; on the last row.
    assert inside.tolist() == [True, True, False, False, False, False]
    assert places[inside].tolist() == [[6, 8], [2, 10]]


def test_the_pose_maps_the_sensor_to_the_camera() -> None:
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    pose[:3, 3] = [0.5, 0, 0]
    places, inside = project_points(np.array([[5.0, 1.0, 1.0]]), pose, VIEW)
    # x forward, y left, z up: (-1 + 0.5, -1, 5) in the camera.
    assert inside.all()
    assert places.tolist() == [[4, 7]]


def test_of_several_points_the_first_in_priority_is_seen() -> None:
    places = np.array([[1, 2], [1, 2], [1, 2], [3, 3]])
    values = np.array([[5.0, -1], [2, 0], [9, 1], [0, 0]])
    image = draw_points(places, values, np.array([-5.0, -2, -9, -1]), (4, 4))
    assert image[1, 2].tolist() == [(2 + 100) * 150, 15000]
    assert (image == EMPTY).all(axis=-1).sum() == 15  # a point whose values are all 0 cannot be told from none
    assert draw_points(places[:0], values[:0], values[:0, 0], (4, 4)).tolist() == np.full((4, 4, 2), EMPTY).tolist()


def test_values_beyond_16_bits_are_cut() -> None:
    image = draw_points(np.array([[0, 0]]), np.array([[-200.0, 1000.0]]), np.zeros(1), (1, 1))
    assert image[0, 0].tolist() == [0, 65535]


def test_the_map_at_infinity_ignores_the_translation() -> None:
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = [3, 2, 1]
    homography = infinite_homography(K, np.diag([20.0, 20, 1]), turn)
    for ray in ([0.1, 0.2, 1], [-0.3, 0.05, 1]):
        direct = K @ turn[:3, :3] @ ray
        mapped = homography @ np.diag([20.0, 20, 1]) @ ray
        assert np.allclose(direct / direct[2], mapped / mapped[2])


def test_events_of_the_last_30_ms_count_by_polarity() -> None:
    pixels = np.array([[3, 2], [3, 2], [3, 2], [3, 2], [15, 11], [16, 5], [4, -1]], float)
    times = np.array([0, 9_999, 10_000, 40_000, 30_000, 30_000, 30_000])
    positive = np.array([True, True, True, False, True, True, True])
    counts = count_events(pixels, times, positive, np.eye(3), (12, 16))
    assert counts[2, 3].tolist() == [1, 1]  # 10 ms is in the window, 9.999 ms is not
    assert counts[11, 15].tolist() == [1, 0]
    assert counts.sum() == 3  # the others are outside of the image


def test_counts_are_capped_and_no_events_are_no_counts() -> None:
    many = np.full((300, 2), 5.0)
    counts = count_events(many, np.zeros(300, int), np.ones(300, bool), np.eye(3), (12, 16))
    assert counts[5, 5].tolist() == [255, 0]
    none = count_events(many[:0], np.zeros(0, int), np.zeros(0, bool), np.eye(3), (12, 16))
    assert (none.shape, none.sum()) == ((12, 16, 2), 0)


@pytest.mark.parametrize("size", [(1080, 1920), (540, 960), (27, 48)])
def test_intrinsics_follow_the_size(size: tuple[int, int]) -> None:
    matrix = scale_intrinsics(np.array([[1500.0, 3, 960], [0, 1500, 540], [0, 0, 1]]), size, (1080, 1920))
    assert matrix[0, 2] == size[1] / 2
    assert matrix[1, 2] == size[0] / 2
    assert matrix[2].tolist() == [0, 0, 1]
