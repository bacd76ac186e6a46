"""`sensorproof bench training`: every figure is measured. The figures themselves are not tested."""

import math

import pytest

from helpers.paths import ROOT
from sensorproof.benchmarks.training import FAST, PLAIN, REGULARIZED, Workload, bench_training
from sensorproof.errors import UsageError
from sensorproof.settings import load_settings

SETTINGS = load_settings(ROOT / "params.yaml")
SMALL = Workload(sensors=2, size=(32, 64), backbone="tiny", decoder_channels=16, classes=3, samples=2, rounds=2)


def test_every_kind_of_step_is_measured() -> None:
    train = SETTINGS.train.model_copy(update={"precision": "bfloat16", "channels_last": True, "accumulate": 2})
    results = bench_training(SMALL, train, SETTINGS.regularizer, "cpu")
    assert str(results["device"]).startswith("CPU")
    expected = {f"{kind}/{figure}" for kind in (PLAIN, FAST, REGULARIZED) for figure in ("step_s", "frames_s")}
    expected |= {f"{kind}/peak_share" for kind in (PLAIN, FAST)} | {"speed", "regularizer", "device", "torch"}
    expected |= {f"loading/{figure}" for figure in ("read_s", "augment_s", "copy_s", "readers")}
    assert set(results) == expected
    assert all(0 <= value < math.inf for value in results.values() if isinstance(value, float))


def test_samples_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match=r"a batch of 2 does not divide by processes x train\.accumulate = 1 x 3"):
        bench_training(SMALL, SETTINGS.train.model_copy(update={"accumulate": 3}), SETTINGS.regularizer, "cpu")
