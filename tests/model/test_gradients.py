"""The gradients that training follows, against finite differences in float64."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.checks import ESTIMATORS, VARIANTS
from sensorproof.regularization.feature_terms import feature_terms
from sensorproof.regularization.information import penalty

CHANNELS = {"camera": 2, "lidar": 1}
HERE = {"camera": torch.tensor([True, True]), "lidar": torch.tensor([True, False])}


class Small(nn.Module):
    """Convolutions of each sensor, their mean, one more; smooth, so that finite differences are right."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.ModuleDict({name: nn.Conv2d(c, 3, 3, padding=1) for name, c in CHANNELS.items()})
        self.second = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.second(torch.stack([self.first[name](x).tanh() for name, x in inputs.items()]).mean(0))


class Given(nn.Module):
    """A model with some of its parameters from outside."""

    def __init__(self, model: nn.Module, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self.given = model, dict(parameters)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return functional_call(self.model, self.given, (inputs,))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_terms_gradient_is_that_of_finite_differences(variant: str, estimator: str) -> None:
    """With ignored pixels and a sample that lacks a sensor; the random numbers are the same at every evaluation."""
    model, generator = Small().double(), torch.Generator().manual_seed(0)
    inputs = {n: torch.randn(2, c, 4, 6, dtype=torch.float64, generator=generator) for n, c in CHANNELS.items()}
    target = torch.randint(0, 3, (2, 4, 6), generator=generator)
    target[0, 0] = 255
    names = ("first.camera.weight", "first.lidar.bias", "second.bias")

    def term(*given: Tensor) -> Tensor:
        torch.manual_seed(1)
        regularizer = FunctionalEntropy(0.7, variant=variant, estimator=estimator, relevance_weighting=False)  # type: ignore[arg-type]
        made = Given(model, dict(zip(names, given, strict=True)))
        return regularizer(made, inputs, target, present=HERE, return_information=False).value

    start = tuple(dict(model.named_parameters())[name].detach().clone().requires_grad_() for name in names)
    assert term(*start).dtype == torch.float64
    assert torch.autograd.gradcheck(term, start, eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_stages_gradient_is_that_of_finite_differences(variant: str) -> None:
    """The perturbation's scale is held constant in training: features of unit deviation keep it so here."""
    generator = torch.Generator().manual_seed(0)
    start = tuple(torch.randn(2, 3, 2, 3, dtype=torch.float64, generator=generator).requires_grad_() for _ in CHANNELS)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[0, :2] = False

    def term(*features: Tensor) -> Tensor:
        torch.manual_seed(1)
        maps = {n: x / x[HERE[n]].std() for n, x in zip(CHANNELS, features, strict=True)}
        _, information = feature_terms(maps, HERE, valid, 0.3, 1e-3, exact=True)
        return penalty(information, variant, 1e-3)

    assert torch.autograd.gradcheck(term, start, eps=1e-6, atol=1e-6, rtol=1e-4)
