"""Corners: in pixels from the centre, y first."""

import numpy as np
import pytest

from sensorproof.alignment.corners import CORNER_COLUMNS, image_corners, largest_length


def test_corners_are_half_the_size_from_the_centre() -> None:
    assert image_corners((4, 6)).tolist() == [[-2, -3], [-2, 3], [2, -3], [2, 3]]
    assert len(CORNER_COLUMNS) == image_corners((4, 6)).size


def test_the_longest_vector_counts() -> None:
    assert largest_length(np.array([[0, 1], [3, -4], [2, 2]])) == pytest.approx(5)
