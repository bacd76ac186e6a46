"""The schedule, the optimiser and the device of a training."""

from itertools import pairwise

import pytest
from torch import nn

from sensorproof.errors import SensorproofError
from sensorproof.training.loop import build_optimizer, choose_device, learning_rate_factor


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [learning_rate_factor(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(1 / 11)
    assert max(rates) == rates[10] == 1.0
    assert rates[-1] == 0.0
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_biases_and_normalisations_have_no_weight_decay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    decayed, free = build_optimizer(model, 0.1, 0.01).param_groups
    assert (decayed["weight_decay"], [p.ndim for p in decayed["params"]]) == (0.01, [4])
    assert (free["weight_decay"], [p.ndim for p in free["params"]]) == (0.0, [1, 1, 1])


def test_a_missing_device_is_named() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(SensorproofError, match=r"train\.device: cuda:63 does not exist"):
        choose_device("cuda:63")
