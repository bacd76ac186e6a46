"""OGM-GE and AGM do what their authors say: against formulas worked out by hand."""

import math

import pytest
import torch

from helpers.objective_steps import make_step
from sensorproof.objectives.gradient_modulation import AGM, OGMGE, relative_lead, scale_gradient
from sensorproof.regularization.losses import batch_cross_entropy


def test_ogm_ge_weakens_the_sensors_that_are_ahead() -> None:
    factors = OGMGE(0.5).factors({"camera": 0.9, "depth": 0.3, "lidar": 0.3})
    assert factors["camera"] == pytest.approx(1 - math.tanh(0.5 * 3.0))
    assert factors["depth"] == factors["lidar"] == 1.0


def test_ogm_ge_scores_the_probability_of_the_true_class_over_valid_pixels() -> None:
    logits = torch.tensor([2.0, 0.0]).log1p().reshape(1, 2, 1, 1).expand(1, 2, 1, 2)
    assert OGMGE(1.0).unimodal_score(logits, torch.tensor([[[0, 255]]])) == pytest.approx(3 / 4)


def test_the_noise_of_ogm_ge_has_the_gradients_own_deviation() -> None:
    model, inputs, target = make_step()
    batch_cross_entropy(model(inputs), target, 255).backward()
    before = {n: p.grad.clone() for n, p in model.encoder.named_parameters() if p.grad is not None}
    OGMGE(1.0).after_backward(model)
    name = max(before, key=lambda n: before[n].numel())
    added = dict(model.encoder.named_parameters())[name].grad - before[name]
    assert float(added.std()) == pytest.approx(float(before[name].std()), rel=0.05)


def test_agm_compares_each_lead_with_its_running_mean() -> None:
    assert relative_lead({"a": -0.5, "b": -1.5})["a"] == pytest.approx(math.exp(1.0))
    agm = AGM(0.5)
    assert agm.factors({"a": -1.0, "b": -1.0}) == {"a": 1.0, "b": 1.0}
    factors = agm.factors({"a": -0.5, "b": -1.5})
    mean_lead, lead = math.exp(0.5), math.exp(1.0)
    assert factors["a"] == pytest.approx(math.exp(0.5 * (mean_lead - lead)))
    assert factors["a"] < 1 < factors["b"]


def test_a_scaled_gradient_leaves_the_value_alone() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = scale_gradient(x, 0.25)
    (y * torch.tensor([1.0, 3.0])).sum().backward()
    assert torch.equal(y, x)
    assert x.grad is not None
    assert x.grad.tolist() == [0.25, 0.75]
