"""Even selections, and medians of enough values."""

import numpy as np
import pytest

from sensorproof.alignment.sampling import evenly_spaced, median_or_nan


@pytest.mark.parametrize(("count", "most", "indices"), [(5, 9, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (9, 1, [0])])
def test_indices_are_spread_over_all_items(count: int, most: int, indices: list[int]) -> None:
    assert evenly_spaced(count, most).tolist() == indices


def test_a_median_needs_enough_finite_values() -> None:
    values = np.array([1.0, np.nan, 3.0, 8.0])
    assert median_or_nan(values, 3) == 3
    assert np.isnan(median_or_nan(values, 4))
