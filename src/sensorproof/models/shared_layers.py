"""Layers whose result in training depends on the whole batch, so that a share of it is computed as in the whole.

Without a share they are those that they inherit from, to the bit. None has parameters or buffers of its own.
"""

import torch
from torch import Tensor, nn
from transformers.models.segformer.modeling_segformer import SegformerDropPath

from sensorproof.batch_share import active_share, draw_for_samples


class Dropout2d(nn.Dropout2d):
    """Drop whole channels of samples (B, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop channels in training."""
        if not self.training or active_share() is None or not self.p:
            return super().forward(input)
        kept = draw_for_samples(
            lambda samples: input.new_empty(samples, input.shape[1], 1, 1).bernoulli_(1 - self.p), len(input), 0
        )
        return input * kept.div_(1 - self.p)


class DropPath(SegformerDropPath):
    """Skip a residual branch for some of the samples; the first dimension is a multiple of the samples."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Skip in training."""
        if not self.training or active_share() is None:
            skipped: Tensor = super().forward(hidden_states)
            return skipped
        kept = 1 - self.drop_prob
        ones = (1,) * (hidden_states.ndim - 1)
        drawn = draw_for_samples(
            lambda samples: torch.rand((samples, *ones), dtype=hidden_states.dtype, device=hidden_states.device),
            len(hidden_states),
            0,
        )
        return hidden_states.div(kept) * torch.floor(drawn + kept)


class BatchNorm2d(nn.BatchNorm2d):
    """Normalise by the mean and variance over all processes that compute a share at the same time.

    `nn.SyncBatchNorm` does so on GPUs alone, and would wait for ever for a process that has nothing to learn from.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        share = active_share()
        if not self.training or share is None or share.ranks == 1 or not share.together:
            return super().forward(input)
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        count = values.new_tensor([values.numel() // values.shape[1]])
        sums = share.sum_over_ranks(torch.cat([values.sum((0, 2, 3)), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = values - mean[:, None, None]
        variance = share.sum_over_ranks(centred.square().sum((0, 2, 3))) / total
        self._track(mean.detach(), variance.detach() * total / (total - 1).clamp_min(1))
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics as torch does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)
