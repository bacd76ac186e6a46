"""Timestamps out of order: the smallest set whose removal makes a sequence increasing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.alignment.measures.timing import time_steps


def steps_of(times: list[float] | np.ndarray) -> np.ndarray:
    """The time steps of one sequence."""
    return time_steps(np.array(times, float), np.zeros(len(times), np.int64))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_frame_that_jumps_ahead_is_at_fault_and_not_the_next_one(place: int) -> None:
    times = np.arange(6.0)
    times[place] += 100
    assert np.flatnonzero(steps_of(times) <= 0).tolist() == [place]


@pytest.mark.parametrize("place", [1, 3, 5])
def test_a_frame_that_falls_behind_is_at_fault_itself(place: int) -> None:
    times = np.arange(6.0)
    times[place] -= 2.5
    assert np.flatnonzero(steps_of(times) <= 0).tolist() == [place]


@pytest.mark.parametrize(
    ("times", "at_fault"),
    [
        ([0, 1, 2, 3, 4, 3.5], [5]),
        ([0, 1, 3.5, 3, 4, 5], [2]),
        ([0, 1, 102, 103, 4, 5], [2, 3]),
        ([50, 51, 2, 3, 4, 5], [0, 1]),
        ([0, 1, 1, 1, 4, 5], [2, 3]),
    ],
)
def test_the_smallest_and_least_regular_set_is_at_fault(times: list[float], at_fault: list[int]) -> None:
    assert np.flatnonzero(steps_of(times) <= 0).tolist() == at_fault


def test_of_a_decreasing_sequence_one_frame_is_in_order() -> None:
    assert (steps_of([5, 4, 3, 2, 1, 0]) <= 0).sum() == 5


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_without_the_frames_at_fault_time_increases(stamps: list[int]) -> None:
    times = np.array(stamps, float)
    steps = steps_of(times)
    rest = times[~(steps <= 0)]
    assert (np.diff(rest) > 0).all()
    assert np.isnan(steps).sum() == 1
    if (np.diff(times) > 0).all():
        assert not (steps <= 0).any()
