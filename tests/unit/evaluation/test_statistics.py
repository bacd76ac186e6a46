"""Paired intervals against scipy's own t-test."""

import numpy as np
import pytest
from scipy import stats

from sensorproof.errors import SensorproofError
from sensorproof.evaluation.comparison import gain, summarize_arm
from sensorproof.evaluation.statistics import paired_gain, summarize


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(60, 3, 5), rng.normal(50, 3, 5)
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.9)
    found = paired_gain(list(ours), list(theirs), 0.9)
    assert found["ci95"] == pytest.approx([expected.low, expected.high])


def test_one_seed_has_no_interval_and_no_spread() -> None:
    assert paired_gain([3.0], [1.0]) == {"value": 2.0, "ci95": [None, None]}
    assert summarize([3.0]) == {"mean": 3.0, "std": 0.0}


def run(seed: int, score: float) -> dict:
    return {
        "seed": seed,
        **dict.fromkeys(("full", "mean", "worst", "spread"), score),
        "subsets": {"a": score},
        "per_class": {"a": {"road": score, "sky": None}},
        "support": {"road": 10, "sky": 0},
        "parameters": 7,
        "train_seconds": score,
    }


def test_an_arm_is_summarised_over_its_seeds() -> None:
    arm = summarize_arm([run(0, 10.0), run(1, 20.0)])
    assert arm["seeds"] == [0, 1]
    assert arm["subsets"]["a"] == {"mean": 15.0, "std": pytest.approx(50**0.5)}
    assert arm["per_class"]["a"] == {"road": 15.0, "sky": None}


def test_gains_are_paired_by_seed() -> None:
    ours, theirs = [run(0, 10.0), run(1, 30.0)], [run(0, 8.0), run(1, 28.0)]
    assert gain(ours, theirs, 0.95)["mean"] == {"value": 2.0, "ci95": [2.0, 2.0]}
    with pytest.raises(SensorproofError, match="seeds"):
        gain(ours, theirs[::-1], 0.95)
