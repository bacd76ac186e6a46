"""A batch that is computed in shares, by several processes or one after the other, as if it were computed whole.

What is drawn at random is drawn for the whole batch, and a share takes what belongs to its samples. What is averaged
over the batch is weighted, so that the mean over processes and the sum over parts is that of the whole batch.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed


@dataclass
class BatchShare:
    """The samples `start` to `start + samples` of a batch of `whole` samples."""

    start: int
    samples: int
    whole: int
    ranks: int
    """Processes that compute a share at the same time; their gradients are averaged."""
    together: bool
    """Every process has a sample to learn from in this share, so that all of them do the same reductions."""
    pixel_weight: float = 1.0
    """Of a mean over the valid pixels of the share."""
    sample_weight: float = 1.0
    """Of a mean over the samples of the share that have a sensor and a valid pixel."""
    sensor_weights: Mapping[str, float] = field(default_factory=dict)
    """Of a mean over the valid pixels of the samples that have a sensor."""
    labels: Tensor | None = None
    """(whole, h, w), every LABEL_STRIDE-th pixel of the labels of the whole batch."""
    places: Tensor | None = None
    """(samples,) where the samples are in the last permutation that was drawn."""

    @property
    def indices(self) -> slice:
        """Where the samples are in the whole batch."""
        return slice(self.start, self.start + self.samples)

    def sum_over_ranks(self, values: Tensor) -> Tensor:
        """Return the sum over the processes, where every one of them takes part; it can be differentiated."""
        if self.ranks == 1 or not self.together:
            return values
        summed: Tensor = _SumOverRanks.apply(values)
        return summed


class _SumOverRanks(torch.autograd.Function):
    """Sum over the processes; the gradient of what each made of the sum is summed in turn."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        del ctx
        return _SumOverRanks.reduce(values)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        del ctx
        return _SumOverRanks.reduce(gradients[0])

    @staticmethod
    def reduce(values: Tensor) -> Tensor:
        """Return the sum, and leave the values as they are."""
        summed = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(summed)
        return summed


LABEL_STRIDE = 2
"""Of `BatchShare.labels`, in both directions: enough for a running mean, at a quarter of the work."""
# Not a context variable: the threads of the backward pass must see it when they compute activations again.
_active: BatchShare | None = None


def active_share() -> BatchShare | None:
    """Return the share that is being computed; None for a whole batch."""
    return _active


@contextmanager
def sharing(share: BatchShare | None) -> Iterator[None]:
    """Compute a share, its backward pass included."""
    global _active
    before, _active = _active, share
    try:
        yield
    finally:
        _active = before


def draw_permutation(samples: int, device: torch.device) -> Tensor:
    """Return `torch.randperm(samples)`; of a share, the order in which a permutation of the batch has its samples."""
    share = _active
    if share is None or samples != share.samples:
        return torch.randperm(samples, device=device)
    whole = torch.randperm(share.whole, device=device)
    share.places = ((whole >= share.start) & (whole < share.start + samples)).nonzero()[:, 0]
    return whole[share.places] - share.start


def draw_for_samples(draw: Callable[[int], Tensor], samples: int, dim: int = -1, *, permuted: bool = False) -> Tensor:
    """Draw random numbers for every sample.

    Args:
        draw: maps a number n of samples to a tensor with n entries along `dim`.
        samples: number of samples; in a share, a multiple of its own, such as those of several sensors in turn.
            Any other number is drawn as it is.
        dim: 0 or -1.
        permuted: the samples are in the order of `draw_permutation`.

    Returns:
        The draw for these samples.
    """
    share = _active
    if share is None or samples % share.samples:
        return draw(samples)
    groups = samples // share.samples
    drawn = draw(groups * share.whole)
    dim = dim % drawn.ndim
    grouped = drawn.unflatten(dim, (groups, share.whole))
    if permuted and share.places is not None:
        chosen = grouped.index_select(dim + 1, share.places.to(drawn.device))
    else:
        chosen = grouped.narrow(dim + 1, share.start, share.samples)
    return chosen.flatten(dim, dim + 1)
