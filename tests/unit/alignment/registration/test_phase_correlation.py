"""The grid of tiles."""

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from sensorproof.alignment.registration.phase_correlation import make_grid


@given(st.integers(24, 700), st.integers(24, 900), st.integers(3, 5), st.integers(32, 300))
@limits(max_examples=60, deadline=None)
def test_tiles_are_inside_the_image_and_cover_its_corners(height: int, width: int, n: int, largest: int) -> None:
    grid = make_grid(height, width, n, largest)
    if grid is None:
        assert min(height, width, largest) < 50
        return
    assert len(grid.tops) == n * n
    assert min(grid.tops) == min(grid.lefts) == 0
    assert max(grid.tops) + grid.tile[0] == grid.image[0] == height // grid.step
    assert max(grid.lefts) + grid.tile[1] == grid.image[1] == width // grid.step
    assert grid.centers.mean(0) == pytest.approx([0, 0], abs=1)
