"""Paired intervals against the formula of the t-test, in numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from sensorproof.documents import Gain, Statistic
from sensorproof.evaluation.statistics import paired_gain, summarize


@given(st.integers(0, 10_000), st.integers(2, 10), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_that_of_students_paired_t_test(seed: int, count: int, confidence: float) -> None:
    rng = np.random.default_rng(seed)
    ours, theirs = rng.normal(60, 3, count), rng.normal(50, 3, count)
    gain = paired_gain(list(ours), list(theirs), confidence)
    differences = ours - theirs
    half = t.ppf((1 + confidence) / 2, count - 1) * differences.std(ddof=1) / math.sqrt(count)
    assert gain.value == differences.mean()
    assert gain.ci95 == pytest.approx((gain.value - half, gain.value + half), rel=0, abs=1e-11)


@pytest.mark.filterwarnings("error")
def test_equal_differences_give_an_interval_of_one_point() -> None:
    assert paired_gain([10.0, 30.0], [8.0, 28.0]) == Gain(value=2.0, ci95=(2.0, 2.0))
    assert paired_gain([1.0, 2.0], [1.0, 2.0]) == Gain(value=0.0, ci95=(0.0, 0.0))


def test_one_seed_has_no_interval_and_no_deviation() -> None:
    assert paired_gain([3.0], [1.0]) == Gain(value=2.0, ci95=(None, None))
    assert summarize([3.0]) == Statistic(mean=3.0, std=0.0)
