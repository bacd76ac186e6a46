"""Runs are summarised over their seeds, and arms are compared seed by seed."""

import pytest

from sensorproof.documents import Gain, ScoredRun
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.comparison import compute_gains, summarize_arm


def make_run(seed: int, score: float) -> ScoredRun:
    return ScoredRun(
        arm="any",
        seed=seed,
        full=score,
        mean=score,
        worst=score,
        spread=0.0,
        subsets={"a": score},
        per_class={"a": {"road": score, "sky": None}},
        support={"road": 10, "sky": 0},
        parameters=7,
        train_seconds=score,
    )


def test_an_arm_is_summarised_over_its_seeds() -> None:
    arm = summarize_arm([make_run(0, 10.0), make_run(1, 20.0)])
    assert arm.seeds == (0, 1)
    assert (arm.subsets["a"].mean, arm.subsets["a"].std) == (15.0, pytest.approx(50**0.5))
    assert arm.per_class["a"] == {"road": 15.0, "sky": None}
    assert (arm.parameters, arm.train_seconds) == (7, 15.0)


def test_gains_are_paired_by_seed() -> None:
    ours, theirs = [make_run(0, 10.0), make_run(1, 30.0)], [make_run(0, 8.0), make_run(1, 28.0)]
    assert compute_gains(ours, theirs, 0.95).mean == Gain(value=2.0, ci95=(2.0, 2.0))
    with pytest.raises(SensorproofError, match="the arms differ in seeds"):
        compute_gains(ours, theirs[::-1], 0.95)
