"""What every arm does: train with sensors absent, continue from its state, weigh classes in its loss."""

import copy
from typing import get_args

import pytest
import torch
from torch import Tensor

from helpers.objective_steps import SETTINGS, make_step
from sensorproof.errors import UsageError
from sensorproof.objectives.build import build_objective
from sensorproof.settings import Arm


@pytest.mark.parametrize("arm", get_args(Arm))
def test_every_arm_trains_with_sensors_absent_and_restores_its_state(arm: Arm) -> None:
    model, inputs, target = make_step()
    present = {name: torch.tensor([True, True, False, True]) for name in ("depth", "lidar")}
    objective = build_objective(arm, SETTINGS)
    for step in range(2):
        loss = objective(model, inputs, target, present, step)
        loss.value.backward()
        objective.after_backward(model)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    restored = build_objective(arm, SETTINGS)
    restored.load_state_dict(objective.state_dict())
    assert restored.state_dict() == objective.state_dict()


@pytest.mark.parametrize("arm", get_args(Arm))
def test_class_balance_applies_to_every_arm_and_matters_where_classes_are_unequal(arm: Arm) -> None:
    model, inputs, _ = make_step()
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


@pytest.mark.parametrize("change", [{"variant": "paper"}, {"estimator": "exact"}])
def test_settings_that_do_not_fit_the_arm_regularized_dropout_are_named(change: dict[str, str]) -> None:
    with pytest.raises(
        UsageError, match=r"regularizer: has variant .*; set variant: single and estimator: first_order"
    ):
        build_objective("regularized_dropout", SETTINGS.model_copy(update=change))
