"""What an extra pass through a training model needs, so that it leaves no trace and can be differentiated twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def frozen_norm_stats(model: nn.Module) -> Iterator[None]:
    """Let normalisations with running statistics use them, and not update them, as they will in evaluation.

    The perturbed or thinned-out inputs of an extra pass have other statistics than the data: absorbed, they would
    ruin evaluation.
    """
    updating = [m for m in model.modules() if isinstance(m, _NormBase) and m.training and m.track_running_stats]
    for module in updating:
        module.training = False
    try:
        yield
    finally:
        for module in updating:
            module.training = True


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Take the plain attention kernel and no compiled code: neither the fused ones nor it has a second derivative."""
    with torch.compiler.set_stance("force_eager"), sdpa_kernel(SDPBackend.MATH):
        yield


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Let a training model predict as it will in evaluation: no dropout, running statistics used and left alone."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Draws:
    """The state of the random numbers, to be gone back to: passes `again` draw the dropout masks of the first one.

    Passes whose difference means something must differ in their inputs alone.
    """

    def __init__(self, device: torch.device) -> None:
        self.devices = [device] if device.type == "cuda" else []
        self.state = torch.get_rng_state()
        self.device_states = [torch.cuda.get_rng_state(each) for each in self.devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Draw the same numbers; those drawn afterwards are what they would have been without."""
        with torch.random.fork_rng(self.devices):
            torch.set_rng_state(self.state)
            for device, state in zip(self.devices, self.device_states, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


def unwrap_model(model: nn.Module) -> nn.Module:
    """The module inside DistributedDataParallel or torch.compile.

    Their forward passes expect one backward pass each; gradients of the inner module still reach the hooks that
    reduce them, for those hang on the parameters.
    """
    while True:
        inner = getattr(model, "_orig_mod", None) or (
            model.module if isinstance(model, nn.parallel.DistributedDataParallel) else None
        )
        if not isinstance(inner, nn.Module):
            return model
        model = inner
