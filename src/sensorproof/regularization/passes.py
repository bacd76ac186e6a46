"""What an extra pass through a training model needs, so that it leaves no trace and can be differentiated twice."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _NormBase


@contextmanager
def running_statistics(model: nn.Module) -> Iterator[None]:
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
    """Take the plain attention kernel: the fused ones have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def unwrapped(model: nn.Module) -> nn.Module:
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
