"""The optimiser that is not prepared for torch.compile does what AdamW does, to the bit."""

import torch
from torch import nn
from torch.optim import AdamW

from sensorproof.training.optimizer import EagerAdamW


def steps_of(kind: type[AdamW], count: int = 5) -> tuple[list[torch.Tensor], AdamW]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = kind(
        [{"params": model[0].parameters(), "weight_decay": 0.1}, {"params": model[2].parameters()}], lr=0.1, fused=True
    )
    for step in range(count):
        if step == 3:  # as a checkpoint restores it
            optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad(set_to_none=True)
        model(torch.rand(6, 4)).square().sum().backward()
        optimizer.step()
    return list(model.parameters()), optimizer


def test_weights_and_state_are_those_of_adamw() -> None:
    (ours, mine), (theirs, other) = steps_of(EagerAdamW), steps_of(AdamW)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for a, b in zip(mine.state_dict()["state"].values(), other.state_dict()["state"].values(), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in b)


def test_a_step_leaves_no_graph_behind() -> None:
    parameters, _ = steps_of(EagerAdamW, 1)
    assert all(parameter.grad_fn is None and parameter.requires_grad for parameter in parameters)
