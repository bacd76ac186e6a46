"""Peaks of correlation surfaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.alignment.registration.peaks import find_peaks, gaussian_offset


@given(st.floats(-0.49, 0.49), st.floats(0.5, 2))
def test_the_maximum_of_a_gaussian_is_exact(offset: float, deviation: float) -> None:
    before, peak, after = (np.array([np.exp(-((x - offset) ** 2) / (2 * deviation**2))]) for x in (-1, 0, 1))
    assert gaussian_offset(before, peak, after)[0] == pytest.approx(offset, abs=1e-6)


def test_reliability_is_the_lead_over_the_second_best() -> None:
    surface = np.zeros((1, 32, 32), np.float32)
    surface[0, 16 + 2, 16 + 3], surface[0, 16 - 6, 16 + 1] = 1.0, 0.3
    peaks = find_peaks(surface, 8)
    assert peaks.displacement[0] == pytest.approx([2, 3])
    assert peaks.reliability[0] == pytest.approx(70)
    assert find_peaks(surface, 4).reliability[0] == 100  # the second best is out of reach
