"""How much a sensor tells about the label, measured while training, so that noise is not forced to contribute."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sensorproof.regularization.losses import sample_cross_entropy

DECAY = 0.97
FLOOR = 0.05
"""A sensor never drops out: this share of its weight goes on asking whether it has become useful."""


class Usefulness:
    """Share of the uncertainty about the label that a sensor's own image removes.

    A prediction from sensor i alone is compared with its own label and with the label of another sample. A sensor of
    pure noise, or one that is stuck, knows where in the picture things usually are, but no more: it fits both alike.

        u_i = 1 - E[CE(p_i(x), y)] / E[CE(p_i(x), y')],  y' another sample's label

    The means are running ones. A sensor starts out as useful, for before it is trained nothing can be said of it; its
    weight is u_i over the largest u, between FLOOR and 1.
    """

    def __init__(self) -> None:
        self.own: dict[str, float] = {}
        self.other: dict[str, float] = {}

    def observe(
        self, kept: Mapping[str, Tensor], logits: Tensor, target: Tensor, losses: Tensor, ignore_index: int
    ) -> None:
        """Take in predictions (B, K, h, w) and their losses (B,), of the samples that keep one sensor alone."""
        alone = torch.stack(list(kept.values())).sum(0) == 1
        for name, mask in kept.items():
            rows = (mask & alone).nonzero()[:, 0]
            if len(rows) < 2:
                continue  # a single sample tells nothing
            with torch.no_grad():
                shift = 1 + int(torch.randint(len(rows) - 1, ()))  # neighbours in a batch may be alike
                others, valid = sample_cross_entropy(logits[rows].detach(), target[rows].roll(shift, 0), ignore_index)
                if not bool(valid.any()):
                    continue
                own, other = float(losses[rows].detach().mean()), float(others[valid > 0].mean())
            self.own[name] = DECAY * self.own.get(name, 0.0) + (1 - DECAY) * own
            self.other[name] = DECAY * self.other.get(name, 1.0) + (1 - DECAY) * other

    def usefulness(self, name: str) -> float:
        """u_i in [0, 1]; 1 for a sensor that was not observed yet."""
        if not self.other.get(name):
            return 1.0
        return min(1.0, max(0.0, 1 - self.own[name] / self.other[name]))

    def weight(self, name: str) -> float:
        """The factor on the sensor's term."""
        best = max((self.usefulness(each) for each in self.own), default=1.0)
        return max(FLOOR, self.usefulness(name) / best) if best > 0 else 1.0

    def of_subsets(self, kept: Mapping[str, Tensor]) -> Tensor:
        """(B,) weights of samples: a subset is as useful as the best of its sensors."""
        each = torch.stack([mask * self.weight(name) for name, mask in kept.items()])
        return each.amax(0)

    def weights(self, names: list[str]) -> dict[str, float]:
        return {name: self.weight(name) for name in names}

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"{kind}/{name}": torch.tensor(value, dtype=torch.float64)
            for kind, values in (("own", self.own), ("other", self.other))
            for name, value in values.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.own, self.other = (
            {key.removeprefix(kind): float(value) for key, value in state.items() if key.startswith(kind)}
            for kind in ("own/", "other/")
        )
