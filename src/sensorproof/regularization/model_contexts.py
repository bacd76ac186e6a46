"""Contexts for extra passes through a model in training: they leave no trace, and can be differentiated twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase

from sensorproof.regularization.recomputation import recomputed_within, without_reentrant_checkpoints


@contextmanager
def frozen_norm_stats(model: nn.Module) -> Iterator[None]:
    """Make normalisations with running statistics use them without updating them, as in evaluation.

    The inputs of an extra pass are perturbed or lack sensors, so their statistics are not those of the data; absorbed,
    they would ruin evaluation.
    """
    norms = [m for m in model.modules() if isinstance(m, _NormBase) and m.training and m.track_running_stats]
    with _eval_mode(norms), recomputed_within(lambda: _eval_mode(norms)):
        yield


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Make a model in training predict as in evaluation: no dropout, running statistics used and not updated."""
    with _eval_mode([module for module in model.modules() if module.training]):
        yield


@contextmanager
def _eval_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Clear the training flag of single modules; `nn.Module.eval` would also clear that of their children."""
    before = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.training = training


@contextmanager
def without_trace(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Run passes that leave no trace: no gradients, random numbers drawn, statistics updated or code compiled."""
    with (
        torch.random.fork_rng(_rng_devices(device)),
        torch.compiler.set_stance("force_eager"),
        torch.no_grad(),
        evaluating(model),
    ):
        yield


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Use the plain attention kernel and no compiled code: fused kernels and compiled code lack second derivatives."""
    with torch.compiler.set_stance("force_eager"), sdpa_kernel(SDPBackend.MATH), without_reentrant_checkpoints():
        yield


class RngSnapshot:
    """State of the random number generators, so that several passes draw the same dropout masks.

    Passes whose difference is taken must differ in their inputs alone.

    Args:
        device: where the passes run; the generator of the CPU is always included.
    """

    def __init__(self, device: torch.device) -> None:
        self._devices = _rng_devices(device)
        self._state = torch.get_rng_state()
        self._device_states = [torch.cuda.get_rng_state(each) for each in self._devices]

    @contextmanager
    def replay(self) -> Iterator[None]:
        """Draw the numbers of the snapshot again; what is drawn afterwards is what it would have been without."""
        with torch.random.fork_rng(self._devices):
            torch.set_rng_state(self._state)
            for device, state in zip(self._devices, self._device_states, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield


def _rng_devices(device: torch.device) -> list[torch.device]:
    """Return the devices beside the CPU whose generator a pass on `device` uses."""
    return [device] if device.type == "cuda" else []


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the module inside DistributedDataParallel or torch.compile.

    The forward passes of the wrappers expect one backward pass each. Gradients of the inner module still reach the
    hooks that reduce them, because these are attached to the parameters.
    """
    while True:
        inner = getattr(model, "_orig_mod", None) or (
            model.module if isinstance(model, nn.parallel.DistributedDataParallel) else None
        )
        if not isinstance(inner, nn.Module):
            return model
        model = inner
