"""The log loss of single sensors and subsets: what it asks of a model, and how it weighs sensors and classes."""

import pytest
import torch
from torch import nn

from helpers.sensor_models import MeanFusion, Pixelwise, make_batch, make_segmenter, mask
from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.options import Estimator

CHANNELS = {"camera": 3, "lidar": 2}


def test_features_that_are_at_hand_give_the_same_term() -> None:
    model, (inputs, target) = make_segmenter(CHANNELS).eval(), make_batch(4, 32, CHANNELS)
    values = []
    for features in (None, model.encode(inputs)):
        torch.manual_seed(5)
        values.append(FunctionalEntropy(0.1)(model, inputs, target, features=features, return_information=False).value)
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-5)


def test_a_rare_sensor_does_not_raise_the_strength() -> None:
    """A sample without a sensor counts the sensors that it has: less is asked of it, and no more of the others."""
    model = MeanFusion().eval()
    with torch.no_grad():
        for layer in model.layers.values():
            layer.weight.zero_(), layer.bias.zero_()  # f is log 3 from any subset
    inputs, target = make_batch()
    regularizer = FunctionalEntropy(1.0, relevance_weighting=False)
    camera_only = {"lidar": mask(0, 0, 0, 0), "thermal": mask(0, 0, 0, 0)}
    lidar_once = {"lidar": mask(0, 0, 0, 1), "thermal": mask(0, 0, 0, 0)}
    lone, rare, complete = (
        float(regularizer(model, inputs, target, present=present, return_information=False).value.detach())
        for present in (camera_only, lidar_once, None)
    )
    assert rare == pytest.approx(1.25 * lone, rel=1e-5)
    assert complete == pytest.approx(3 * lone, rel=1e-5)


def test_sensors_are_weighed_by_their_relevance() -> None:
    """Noise and a constant lose their weight; a sensor that is broken half of the time keeps a part of it."""
    torch.manual_seed(0)
    target = torch.randint(0, 2, (64, 8, 8))
    label, noise = target[:, None].float(), torch.randn(64, 1, 8, 8)
    half = torch.where((torch.arange(64) % 2 == 0).reshape(-1, 1, 1, 1), label, noise + 0.5)
    inputs = {"good": label, "broken": half, "noise": noise, "stuck": torch.full_like(label, 0.5)}
    model = Pixelwise(dict.fromkeys(inputs, 1), 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    regularizer = FunctionalEntropy(0.1)
    for _ in range(200):
        optimizer.zero_grad()
        term = regularizer(model, inputs, target, return_information=False)
        (nn.functional.cross_entropy(model(inputs), target) + term.value).backward()
        optimizer.step()
    assert term.weights["good"] == 1.0
    assert 0.1 < term.weights["broken"] < 0.85
    assert max(term.weights["noise"], term.weights["stuck"]) < 0.07
    restored = FunctionalEntropy(0.1)
    restored.load_state_dict(regularizer.state_dict())
    assert restored.relevance is not None
    assert restored.relevance.weights(inputs) == pytest.approx(term.weights)


def test_a_sensor_of_low_relevance_counts_little_at_feature_scales_too() -> None:
    model, (inputs, target) = make_segmenter(CHANNELS), make_batch(4, 32, CHANNELS)

    def stage_value(relevance_weighting: bool) -> float:
        """Return what the feature scale adds to the term."""
        values = []
        for scales in (("prediction", "stage1"), ("prediction",)):
            regularizer = FunctionalEntropy(0.1, scales, relevance_weighting=relevance_weighting)
            if regularizer.relevance is not None:
                regularizer.relevance.times = {"camera": 1000, "lidar": 1000}
                regularizer.relevance.own = {"camera": 0.5, "lidar": 1.0}
                regularizer.relevance.other = {"camera": 1.0, "lidar": 1.0}
            torch.manual_seed(0)
            values.append(float(regularizer(model, inputs, target, return_information=False).value.detach()))
        return values[0] - values[1]

    assert 0 < stage_value(True) < 0.7 * stage_value(False)


def test_class_balance_raises_the_pull_on_a_rare_class() -> None:
    """Ten pixels of 256 are of class 1: the more the term balances, the harder it pulls that class's logit up."""
    model, (inputs, target) = Pixelwise(CHANNELS), make_batch(channels=CHANNELS)
    target = torch.zeros_like(target)
    target[:, 0, :10] = 1
    pull = []
    for class_balance in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        term = FunctionalEntropy(1.0, relevance_weighting=False, class_balance=class_balance)(model, inputs, target)
        pull.append(-float(torch.autograd.grad(term.value, model.layers["camera"].bias)[0][1]))
    assert pull[0] < pull[1] < pull[2]


@pytest.mark.parametrize("estimator", ["exact", "first_order"])
def test_class_balance_is_half_way_by_default_in_both_estimators(estimator: Estimator) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), make_batch(channels=CHANNELS)
    target = torch.zeros_like(target)
    target[:, 0, :10] = 1

    def value(class_balance: float | None) -> float:
        torch.manual_seed(0)
        regularizer = FunctionalEntropy(0.1, estimator=estimator, class_balance=class_balance)
        return float(regularizer(model, inputs, target).value.detach())

    assert value(None) == value(0.5)
    assert len({value(0.0), value(0.5), value(1.0)}) == 3


def test_subsets_any_keeps_several_sensors_of_a_sample() -> None:
    model, (inputs, target) = MeanFusion(), make_batch(14)
    FunctionalEntropy(0.1, subsets="any", missing="drop")(model, inputs, target, return_information=False)
    assert sorted(len(names) for names in model.calls) == [1, 1, 1, 2, 2, 2, 3]
