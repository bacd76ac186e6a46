"""How much a sensor tells about the label, measured while training, so that noise is not forced to contribute."""

from collections.abc import Mapping

import torch
from torch import Tensor

from sensorproof.regularization.losses import sample_cross_entropy

_DECAY = 0.95
PATIENCE = 100
"""Observations before a sensor may lose weight: some are learnt late, and turned down early they never would be."""
FLOOR = 0.05
"""A sensor never drops out: this share of its weight goes on asking whether it has become useful."""
KNOWN = 0.05
"""What the best sensor must tell before sensors are told apart; below, their order is chance."""
_SPARSE = 2
"""Every second pixel of every second row is enough for a running mean, and a quarter of the work."""


class SensorRelevance:
    """Share of the uncertainty about the label that a sensor's own image removes.

    A prediction from sensor i alone is compared with its own label and with the label of another sample. A sensor of
    pure noise, or one that is stuck, knows where in the picture things usually are, but no more: it fits both alike.

        u_i = 1 - E[CE(p_i(x), y)] / E[CE(p_i(x), y')],  y' another sample's label

    The means are running ones, both from 0, which their ratio does not feel. A sensor's weight is 1 until it was
    observed PATIENCE times, for before it is trained nothing can be said of it, and until any such sensor tells KNOWN;
    from then on it is u_i over the largest u, between FLOOR and 1. Batches of one sample have no other label to compare
    with: they are not observed.
    """

    def __init__(self, class_balance: float = 0.0) -> None:
        self.class_balance = class_balance
        self.own: dict[str, float] = {}
        self.other: dict[str, float] = {}
        self.times: dict[str, float] = {}

    def observe(
        self, kept: Mapping[str, Tensor], logits: Tensor, target: Tensor, losses: Tensor, ignore_index: int
    ) -> None:
        """Take in predictions (B, K, h, w) and their losses (B,), of the samples that keep one sensor alone."""
        if len(target) < 2:
            return  # there is no other sample
        masks = torch.stack(list(kept.values()))
        rows = (masks.sum(0) == 1).nonzero()[:, 0]
        if not len(rows):
            return
        with torch.no_grad():
            shift = 1 + int(torch.randint(len(target) - 1, ()))  # neighbours in a batch may be alike
            sparse = (..., slice(None, None, _SPARSE), slice(None, None, _SPARSE))
            strange = target[(rows + shift) % len(target)]
            others, valid = sample_cross_entropy(
                logits[rows][sparse], strange[sparse], ignore_index, self.class_balance
            )
            counted = (masks[:, rows] & (valid > 0)).to(others)
            values = torch.stack([counted.sum(1), counted @ losses[rows].to(others), counted @ others])
        for name, (count, own, other) in zip(kept, values.T.tolist(), strict=True):
            if count:
                self.own[name] = _DECAY * self.own.get(name, 0.0) + (1 - _DECAY) * own / count
                self.other[name] = _DECAY * self.other.get(name, 0.0) + (1 - _DECAY) * other / count
                self.times[name] = self.times.get(name, 0.0) + 1

    def relevance(self, name: str) -> float:
        """u_i in [0, 1]; 1 for a sensor that was not observed yet."""
        if not self.other.get(name):
            return 1.0
        return min(1.0, max(0.0, 1 - self.own[name] / self.other[name]))

    def weight(self, name: str) -> float:
        """How much the sensor counts: its usefulness against the best one's."""
        if self.times.get(name, 0) < PATIENCE:
            return 1.0
        best = max(self.relevance(each) for each, times in self.times.items() if times >= PATIENCE)
        return max(FLOOR, self.relevance(name) / best) if best >= KNOWN else 1.0

    def of_subsets(self, kept: Mapping[str, Tensor]) -> Tensor:
        """(B,) weights of samples in the term: a subset is as useful as the best of its sensors."""
        each = torch.stack([mask * self.weight(name) for name, mask in kept.items()])
        return each.amax(0)

    def weights(self, names: list[str]) -> dict[str, float]:
        return {name: self.weight(name) for name in names}

    def state_dict(self) -> dict[str, Tensor]:
        return {
            f"{kind}/{name}": torch.tensor(value, dtype=torch.float64)
            for kind, values in (("own", self.own), ("other", self.other), ("times", self.times))
            for name, value in values.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.own, self.other, self.times = (
            {key.removeprefix(kind): float(value) for key, value in state.items() if key.startswith(kind)}
            for kind in ("own/", "other/", "times/")
        )
