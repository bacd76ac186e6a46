"""Paired intervals against the formula of the t-test, in numpy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from sensorproof.documents import Estimate, Gain, Statistic
from sensorproof.evaluation.statistics import paired_gain, paired_share, summarize


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


def test_the_interval_of_a_share_covers_the_true_share_as_often_as_it_says() -> None:
    """Specialists 8 points above the baseline, an arm 6 points above; five seeds whose luck is shared."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        luck = rng.normal(0, 1, 5)
        lowest, ours, best = (level + luck + rng.normal(0, 0.8, 5) for level in (50, 56, 58))
        low, high = paired_share(list(ours), list(lowest), list(best), 0.9).interval
        covered += low is None or (high is not None and low <= 0.75 <= high)
    assert 0.86 <= covered / 400 <= 0.94


def test_a_share_has_no_interval_with_one_seed_or_where_there_is_nothing_to_win() -> None:
    assert paired_share([55.0], [50.0], [60.0], 0.95) == Estimate(value=0.5, interval=(None, None))
    nothing = paired_share([50.0, 53.0, 51.0], [51.0, 50.0, 52.0], [50.0, 52.0, 51.5], 0.95)
    assert nothing.interval == (None, None)
    assert paired_share([51.0, 52.0], [50.0, 50.0], [50.0, 50.0], 0.95).value == 0.0


def test_an_arm_that_is_always_halfway_has_an_interval_of_one_point() -> None:
    share = paired_share([55.0, 57.0, 52.0], [50.0, 51.0, 49.0], [60.0, 63.0, 55.0], 0.95)
    assert share.value == pytest.approx(0.5)
    assert share.interval == pytest.approx((0.5, 0.5), abs=1e-6)
