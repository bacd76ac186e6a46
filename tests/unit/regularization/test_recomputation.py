"""Activation checkpointing: the gradient is that without it, and running statistics stay those of the plain pass."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from helpers.sensor_models import CHANNELS, CLASSES, make_batch, make_regularizer
from sensorproof.regularization import FunctionalEntropy


class Checkpointed(nn.Module):
    """Mean of the sensors' features, then a part with BatchNorm and dropout that may be checkpointed."""

    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.reentrant = reentrant
        self.stems = nn.ModuleDict({name: nn.Conv2d(c, 8, 1) for name, c in CHANNELS.items()})
        self.body = nn.Sequential(nn.BatchNorm2d(8), nn.Tanh(), nn.Dropout(0.2), nn.Conv2d(8, 8, 3, padding=1))
        self.head = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, CLASSES, 1))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        maps = torch.stack([self.stems[name](x) for name, x in inputs.items()]).mean(0)
        for part in (self.body, self.head):
            maps = part(maps) if self.reentrant is None else checkpoint(part, maps, use_reentrant=self.reentrant)
        return maps


def gradients_and_statistics(
    reentrant: bool | None, regularizer: FunctionalEntropy, return_information: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The term's value, its gradient by all weights, and all buffers after the backward pass."""
    model = Checkpointed(reentrant).train()
    inputs, target = make_batch()
    torch.manual_seed(1)
    term = regularizer(model, inputs, target, return_information=return_information)
    term.value.backward()
    gradient = torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in model.parameters()]
    )
    return term.value.detach(), gradient, torch.cat([buffer.float().flatten() for buffer in model.buffers()])


@pytest.mark.parametrize("return_information", [False, True])
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("variant", ["single", "paper", "gat"])
@pytest.mark.parametrize("estimator", ["first_order", "exact"])
def test_a_checkpointed_model_gets_the_same_gradient_and_statistics(
    variant: str, estimator: str, reentrant: bool, return_information: bool
) -> None:
    plain, ours = (
        gradients_and_statistics(mode, make_regularizer(variant, estimator), return_information)
        for mode in (None, reentrant)
    )
    for expected, actual in zip(plain, ours, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)
    fresh = torch.cat([buffer.float().flatten() for buffer in Checkpointed(None).buffers()])
    torch.testing.assert_close(ours[2], fresh, rtol=0, atol=0)


def test_the_plain_loss_beside_the_term_keeps_its_own_recomputation() -> None:
    """The plain pass is recomputed with its own statistics, the extra pass with frozen ones."""
    results = []
    for reentrant in (None, True):
        model = Checkpointed(reentrant).train()
        inputs, target = make_batch()
        torch.manual_seed(1)
        loss = nn.functional.cross_entropy(model(inputs), target)
        loss = loss + make_regularizer("single", "first_order")(model, inputs, target, return_information=False).value
        loss.backward()
        results.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)
