"""The rivals do what their authors say: against formulas worked out by hand, and in one training step each."""

import copy
import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from sensorproof.errors import UsageError
from sensorproof.models import Segmenter
from sensorproof.objectives.baselines import ModalityDropout
from sensorproof.objectives.build import NO_REGULARIZATION, build_objective
from sensorproof.objectives.gradient_modulation import AGM, OGMGE, relative_lead, scale_gradient
from sensorproof.regularization.losses import batch_cross_entropy
from sensorproof.settings import Arm

SETTINGS = NO_REGULARIZATION.model_copy(update={"strength": 0.3, "sigma": 0.3, "relevance_weighting": True})
CHANNELS = {"camera": 3, "depth": 1, "lidar": 2}


def material() -> tuple[Segmenter, dict[str, Tensor], Tensor]:
    torch.manual_seed(0)
    inputs = {name: torch.randn(4, c, 32, 32) for name, c in CHANNELS.items()}
    return Segmenter(CHANNELS, 3, "tiny", 16).train(), inputs, torch.randint(0, 3, (4, 32, 32))


@pytest.mark.parametrize("arm", get_args(Arm))
def test_every_arm_trains_with_sensors_absent(arm: Arm) -> None:
    model, inputs, target = material()
    present = {name: torch.tensor([True, True, False, True]) for name in ("depth", "lidar")}
    objective = build_objective(arm, SETTINGS)
    for step in range(2):
        loss = objective(model, inputs, target, present, step)
        loss.value.backward()
        objective.after_backward(model)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    again = build_objective(arm, SETTINGS)
    again.load_state_dict(objective.state_dict())
    assert again.state_dict() == objective.state_dict()


@pytest.mark.parametrize("arm", get_args(Arm))
def test_class_balance_is_of_every_arms_loss_and_matters_where_classes_are_unequal(arm: Arm) -> None:
    model, inputs, _ = material()
    state = copy.deepcopy(model.state_dict())
    even, uneven = torch.zeros(2, 4, 32, 32, dtype=torch.long)
    even[:, :16] = 1
    uneven[:, :1] = 1

    def value(target: Tensor, class_balance: float) -> float:
        torch.manual_seed(1)
        model.load_state_dict(state)
        objective = build_objective(arm, SETTINGS, class_balance)
        return float(objective(model, inputs, target, None, 0).value.detach())

    assert value(even, 1.0) == pytest.approx(value(even, 0.0), rel=1e-5)
    assert value(uneven, 1.0) != pytest.approx(value(uneven, 0.0), rel=1e-2)


def test_ogm_ge_turns_down_the_sensors_that_are_ahead() -> None:
    factors = OGMGE(0.5).factors({"camera": 0.9, "depth": 0.3, "lidar": 0.3})
    assert factors["camera"] == pytest.approx(1 - math.tanh(0.5 * 3.0))
    assert factors["depth"] == factors["lidar"] == 1.0


def test_ogm_ge_scores_the_probability_of_the_true_class_over_valid_pixels() -> None:
    logits = torch.tensor([2.0, 0.0]).log1p().reshape(1, 2, 1, 1).expand(1, 2, 1, 2)
    assert OGMGE(1.0).score_alone(logits, torch.tensor([[[0, 255]]])) == pytest.approx(3 / 4)


def test_ogm_ges_noise_has_the_gradients_own_spread() -> None:
    model, inputs, target = material()
    batch_cross_entropy(model(inputs), target, 255).backward()
    before = {n: p.grad.clone() for n, p in model.encoder.named_parameters() if p.grad is not None}
    OGMGE(1.0).after_backward(model)
    name = max(before, key=lambda n: before[n].numel())
    added = dict(model.encoder.named_parameters())[name].grad - before[name]
    assert float(added.std()) == pytest.approx(float(before[name].std()), rel=0.05)


def test_agm_compares_each_lead_with_the_usual_one() -> None:
    assert relative_lead({"a": -0.5, "b": -1.5})["a"] == pytest.approx(math.exp(1.0))
    agm = AGM(0.5)
    first = agm.factors({"a": -1.0, "b": -1.0})
    assert first == {"a": 1.0, "b": 1.0}
    second = agm.factors({"a": -0.5, "b": -1.5})
    usual, lead = math.exp(0.5), math.exp(1.0)
    assert second["a"] == pytest.approx(math.exp(0.5 * (usual - lead)))
    assert second["a"] < 1 < second["b"]


def test_a_scaled_gradient_leaves_the_value_alone() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = scale_gradient(x, 0.25)
    (y * torch.tensor([1.0, 3.0])).sum().backward()
    assert torch.equal(y, x)
    assert x.grad is not None
    assert x.grad.tolist() == [0.25, 0.75]


def test_a_probability_above_one_is_named() -> None:
    with pytest.raises(UsageError, match=r"1\.5 for modality_dropout"):
        ModalityDropout(1.5)
