"""Bilinear resizing of tensors."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.resizing import SMALL, enlarge, largest_size, resize


@given(st.integers(1, SMALL), st.integers(1, SMALL), st.integers(1, 130), st.integers(1, 130))
def test_matrix_products_enlarge_as_interpolation_does(
    height: int, width: int, new_height: int, new_width: int
) -> None:
    maps = torch.arange(2.0 * height * width).reshape(1, 2, height, width).sin()
    size = (new_height, new_width)
    torch.testing.assert_close(enlarge(maps, size), resize(maps, size), atol=1e-5, rtol=1e-5)


def test_a_map_of_the_right_size_is_returned_itself() -> None:
    maps = torch.zeros(1, 2, 5, 7)
    assert resize(maps, (5, 7)) is maps


def test_the_largest_size_has_the_most_pixels() -> None:
    assert largest_size([torch.zeros(2, 9), torch.zeros(4, 5), torch.zeros(5, 4)]) == (4, 5)
