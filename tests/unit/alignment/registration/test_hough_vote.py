"""Hypotheses of shift, scale and rotation, and the distance between them."""

import numpy as np
import pytest

from sensorproof.alignment.corners import image_corners
from sensorproof.alignment.registration.hough_vote import corner_distance, hypotheses, similarity_displacements
from sensorproof.alignment.registration.phase_correlation import make_grid


def test_the_distance_between_hypotheses_is_that_of_their_corners() -> None:
    grid = make_grid(120, 160, 3, 256)
    assert grid is not None
    similarities, shifts = hypotheses(grid, 4), np.random.default_rng(0).normal(size=(3, 3, 2))
    distance = corner_distance(grid, similarities, shifts)
    corners = image_corners((float(grid.image[0]), float(grid.image[1])))
    for h in range(0, len(similarities), 3):
        for i, j in np.ndindex(3, 3):
            displacement = similarity_displacements(corners, similarities[h : h + 1])[0] + shifts[i, j]
            assert distance[h, i, j] == pytest.approx(np.hypot(*displacement.T).max())
