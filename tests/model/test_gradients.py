"""The gradients that training follows, against finite differences in float64."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from helpers.sensor_models import make_regularizer, mask
from sensorproof.regularization.feature_terms import feature_terms
from sensorproof.regularization.fisher_penalty import information_penalty
from sensorproof.regularization.options import ESTIMATORS, VARIANTS, Variant

CHANNELS = {"camera": 2, "lidar": 1}
PRESENT = {"camera": mask(1, 1), "lidar": mask(1, 0)}


class Smooth(nn.Module):
    """A convolution of each sensor, their mean, one more convolution; smooth, so that finite differences are exact."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.ModuleDict({name: nn.Conv2d(c, 3, 3, padding=1) for name, c in CHANNELS.items()})
        self.second = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.second(torch.stack([self.first[name](x).tanh() for name, x in inputs.items()]).mean(0))


class WithParameters(nn.Module):
    """A model with some of its parameters replaced."""

    def __init__(self, model: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self.replaced = model, dict(parameters)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return functional_call(self.model, self.replaced, (inputs,))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_terms_gradient_is_that_of_finite_differences(variant: Variant, estimator: str) -> None:
    """With ignored pixels and a sample that lacks a sensor; the random numbers are the same at every evaluation."""
    model, generator = Smooth().double(), torch.Generator().manual_seed(0)
    inputs = {n: torch.randn(2, c, 4, 6, dtype=torch.float64, generator=generator) for n, c in CHANNELS.items()}
    target = torch.randint(0, 3, (2, 4, 6), generator=generator)
    target[0, 0] = 255
    names = ("first.camera.weight", "first.lidar.bias", "second.bias")

    def value(*parameters: Tensor) -> Tensor:
        torch.manual_seed(1)
        regularizer = make_regularizer(variant, estimator, relevance_weighting=False)
        changed = WithParameters(model, dict(zip(names, parameters, strict=True)))
        return regularizer(changed, inputs, target, present=PRESENT, return_information=False).value

    start = tuple(dict(model.named_parameters())[name].detach().clone().requires_grad_() for name in names)
    assert value(*start).dtype == torch.float64
    assert torch.autograd.gradcheck(value, start, eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gradient_of_a_feature_scale_is_that_of_finite_differences(variant: Variant) -> None:
    """Training holds the scale of the perturbation constant; features of unit deviation keep it constant here."""
    generator = torch.Generator().manual_seed(0)
    start = tuple(torch.randn(2, 3, 2, 3, dtype=torch.float64, generator=generator).requires_grad_() for _ in CHANNELS)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[0, :2] = False

    def value(*features: Tensor) -> Tensor:
        torch.manual_seed(1)
        maps = {n: x / x[PRESENT[n]].std() for n, x in zip(CHANNELS, features, strict=True)}
        _, information = feature_terms(maps, PRESENT, valid, 0.3, 1e-3, exact=True)
        return information_penalty(information, variant, 1e-3)

    assert torch.autograd.gradcheck(value, start, eps=1e-6, atol=1e-6, rtol=1e-4)
