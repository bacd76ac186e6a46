"""Weights, gradients and the optimiser's state spread over the processes (FSDP2), for models too large for one device.

Checkpoints hold whole tensors, so that a training resumes with or without this, on any number of processes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer
from transformers.models.segformer.modeling_segformer import SegformerLayer


def shard(whole_pass: nn.Module) -> None:
    """Spread the weights of a module over all processes: each block of the encoder by itself, and all the rest.

    A block's weights are together only while it runs. Optimisers must be made afterwards.
    """
    for module in whole_pass.modules():
        if isinstance(module, SegformerLayer):
            fully_shard(module)
    fully_shard(whole_pass)


def to_whole(tensor: Any) -> Any:
    """Return the whole of a tensor that is spread out, for which every process must ask; others as they are."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of a model in whole tensors; every process must ask."""
    return {name: to_whole(tensor) for name, tensor in model.state_dict().items()}


def load_model_state(model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Load whole tensors into a model, which may be spread out; every process has all of them."""
    if not any(isinstance(parameter, DTensor) for parameter in model.parameters()):
        model.load_state_dict(saved)
        return
    with torch.no_grad():
        for name, own in model.state_dict().items():
            own.copy_(_spread(saved[name], own))


def load_optimizer_state(optimizer: Optimizer, slots: dict[int, dict[str, Tensor]]) -> None:
    """Load {place of a parameter: {name: whole tensor}} into an optimiser, whose parameters may be spread out.

    Each tensor gets the memory layout of its parameter: fused optimisers pair the two by their place in memory.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state = {
        k: {name: _arrange(value, parameters[k]) if value.ndim else value for name, value in own.items()}
        for k, own in slots.items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _arrange(value: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor spread out and laid out in memory like another."""
    return _spread(value, like) if isinstance(like, DTensor) else torch.empty_like(like).copy_(value)


def _spread(value: Tensor, like: Tensor) -> Tensor:
    """Return a whole tensor spread out like another; as it is if that one is whole."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
