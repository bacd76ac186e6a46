"""Penalties on the information: closed values, direction, and how samples are distributed among sensors."""

import pytest
import torch
from torch import Tensor, nn

from helpers.sensor_models import CHANNELS, MeanFusion, Pixelwise, make_batch, make_regularizer, mask
from sensorproof.errors import SensorproofError
from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.fisher_penalty import information_penalty, partition_rows
from sensorproof.regularization.options import VARIANTS, Variant

TWO_SENSORS = {"camera": 3, "lidar": 2}


@pytest.mark.parametrize(
    ("variant", "value"), [("single", -torch.tensor(2.0).log()), ("paper", 2.5), ("gat", 17**0.5 / 2)]
)
def test_the_penalty_of_known_information(variant: Variant, value: float) -> None:
    information = {"camera": torch.tensor(0.5), "lidar": torch.tensor(2.0)}
    if variant == "single":
        information["camera"] = torch.tensor(1.0)
    assert float(information_penalty(information, variant, 0.0)) == pytest.approx(float(value))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_penalty_of_no_sensor_is_zero_and_epsilon_keeps_it_finite(variant: Variant) -> None:
    assert float(information_penalty({}, variant, 1e-3)) == 0
    assert torch.isfinite(information_penalty({"camera": torch.tensor(0.0)}, variant, 1e-3))
    with pytest.raises(SensorproofError, match="not finite"):
        information_penalty({"camera": torch.tensor(torch.nan)}, variant, 1e-3)


def test_the_exact_penalty_raises_the_information_of_a_neglected_sensor() -> None:
    """A few steps on the term alone raise the information of the sensor that has least."""
    model, (inputs, target) = Pixelwise(TWO_SENSORS), make_batch(channels=TWO_SENSORS)
    with torch.no_grad():
        model.layers["lidar"].weight.mul_(0.05)
    regularizer = FunctionalEntropy(1.0, variant="paper", estimator="exact")
    before = regularizer(model, inputs, target).information["prediction"]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        regularizer(model, inputs, target).value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    after = regularizer(model, inputs, target).information["prediction"]
    assert before["lidar"] < before["camera"]
    assert after["lidar"] > 1.5 * before["lidar"]


def test_a_lone_sample_serves_every_sensor_in_turn() -> None:
    present = {name: mask(1) for name in CHANNELS}
    torch.manual_seed(0)
    served = [next(iter(partition_rows(torch.tensor([0]), present))) for _ in range(300)]
    assert all(served.count(name) >= 60 for name in CHANNELS)


def test_a_sample_with_a_choice_serves_the_sensor_that_others_lack() -> None:
    present = {"camera": mask(1, 1), "lidar": mask(0, 1)}
    for seed in range(20):
        torch.manual_seed(seed)
        parts = partition_rows(torch.tensor([1, 0]), present)
        assert {name: rows.tolist() for name, rows in parts.items()} == {"camera": [0], "lidar": [1]}


def test_every_sample_serves_one_sensor_that_it_has() -> None:
    present = {"camera": mask(1, 1, 1, 0, 0), "lidar": mask(1, 1, 0, 1, 0)}
    parts = partition_rows(torch.arange(5), present)
    assert sorted(torch.cat(list(parts.values())).tolist()) == [0, 1, 2, 3]
    assert all(bool(present[name][rows].all()) for name, rows in parts.items())


def test_a_batch_of_one_asks_as_much_as_a_large_one() -> None:
    """The exact term of a lone sample stands for all sensors, although only one is drawn."""
    model, (inputs, target) = MeanFusion(), make_batch(1)

    def value(inputs: dict[str, Tensor], target: Tensor) -> float:
        return float(make_regularizer("single", "exact")(model, inputs, target).value.detach())

    torch.manual_seed(0)
    lone = [value(inputs, target) for _ in range(60)]
    large = value({name: x.repeat(30, 1, 1, 1) for name, x in inputs.items()}, target.repeat(30, 1, 1))
    assert sum(lone) / len(lone) == pytest.approx(large, rel=0.1)


def test_a_sensor_that_only_unlabelled_samples_have_is_left_out() -> None:
    model, (inputs, target) = MeanFusion(), make_batch()
    target[3] = 255
    present = {"lidar": mask(0, 0, 0, 1), "thermal": mask(0, 0, 0, 0)}
    values = []
    for sensors in (None, ["camera"]):
        torch.manual_seed(0)
        regularizer = make_regularizer("single", "exact", sensors=sensors)
        values.append(regularizer(model, inputs, target, present=present).value)
    torch.testing.assert_close(values[0], values[1], rtol=0.2, atol=0.1)
