"""Contexts for extra passes: they leave a model, and the random numbers, as they were."""

import copy

import torch
from torch import nn

from sensorproof.regularization.model_contexts import (
    RngSnapshot,
    evaluating,
    frozen_norm_stats,
    unwrap_model,
    without_trace,
)


def build_model() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.BatchNorm2d(4)).train()


def test_frozen_norm_stats_leaves_dropout_on_and_a_frozen_norm_frozen() -> None:
    model = build_model()
    model[3].eval()
    with frozen_norm_stats(model):
        assert [module.training for module in model] == [True, False, True, False]
    assert [module.training for module in model] == [True, True, True, False]


def test_evaluating_restores_each_module_also_after_an_error() -> None:
    model = build_model()
    model[3].eval()
    try:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            raise ValueError
    except ValueError:
        pass
    assert [module.training for module in model] == [True, True, True, False]


def test_a_pass_without_trace_changes_nothing() -> None:
    model = build_model()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    with without_trace(model, torch.device("cpu")):
        logits = model(torch.randn(1, 2, 4, 4))
    assert not logits.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_replay_draws_the_same_numbers_and_does_not_disturb_later_ones() -> None:
    torch.manual_seed(0)
    snapshot = RngSnapshot(torch.device("cpu"))
    first, second = torch.rand(3), torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), first)
    with snapshot.replay():
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.rand(3), second)


def test_wrappers_are_removed() -> None:
    model = build_model()
    assert unwrap_model(torch.compile(model, backend="eager")) is model
    assert unwrap_model(model) is model
