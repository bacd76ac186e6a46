"""How much a sensor tells about the label, measured in training, so that noise is not forced to contribute."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from sensorproof.batch_share import LABEL_STRIDE, BatchShare, active_share
from sensorproof.regularization.losses import sample_cross_entropy

_DECAY = 0.95
PATIENCE = 100
"""Observations before a sensor may lose weight. Some sensors are learnt late; with less weight they never would be."""
FLOOR = 0.05
"""The lowest weight: no sensor drops out, so that one which becomes useful is noticed."""
_LEAST_RELEVANCE = 0.05
"""Relevance that the best sensor needs before sensors are told apart; below it their order is chance."""
_SPARSE = (..., slice(None, None, LABEL_STRIDE), slice(None, None, LABEL_STRIDE))
"""Every second pixel of every second row is enough for a running mean, at a quarter of the work."""


class SensorRelevance:
    """Share of the uncertainty about the label that a sensor's own image removes.

    A prediction from sensor i alone is compared with its own label and with the label of another sample. A sensor of
    pure noise, or one that is stuck, only knows where in the image things usually are, and fits both labels alike.

        u_i = 1 - E[CE(p_i(x), y)] / E[CE(p_i(x), y')],  y' the label of another sample

    Both means are running means that start at 0, which cancels in their ratio. A sensor has the weight 1 until it has
    been observed PATIENCE times, because nothing is known about a sensor that is not yet trained, and until any such
    sensor has a relevance of 0.05. From then on its weight is u_i over the largest u, between FLOOR and 1. Batches of
    one sample have no other label to compare with and are not observed.

    Args:
        class_balance: of the cross-entropies; see `losses.pixel_weights`.
        ignore_index: label of pixels that do not count.
    """

    KEYS = ("own/", "other/", "times/")
    """How the keys of `state_dict` start."""

    def __init__(self, class_balance: float = 0.0, ignore_index: int = 255) -> None:
        self.class_balance = class_balance
        self.ignore_index = ignore_index
        self.own: dict[str, float] = {}
        self.other: dict[str, float] = {}
        self.times: dict[str, float] = {}

    def observe(self, kept: Mapping[str, Tensor], logits: Tensor, target: Tensor, losses: Tensor) -> None:
        """Update the running means with predictions of samples that keep a single sensor.

        Args:
            kept: {sensor: (B,) bool}, the sensors that each sample keeps. Samples that keep several are not used.
            logits: (B, K, H, W), at the size of the target.
            target: (B, H, W), classes or ignore_index.
            losses: (B,), the samples' cross-entropies in nats per pixel.
        """
        share = active_share()
        labels, first = target[_SPARSE], 0
        if share is not None and share.labels is not None and len(target) == share.samples:
            labels, first = share.labels, share.start
        sums = self._sum_up(torch.stack(list(kept.values())), logits, losses, labels, first)
        observed = (
            dict(zip(kept, sums.T.tolist(), strict=True)) if share is None else _sum_over_ranks(share, kept, sums)
        )
        for name, (count, own, other) in observed.items():
            if count:
                self.own[name] = _DECAY * self.own.get(name, 0.0) + (1 - _DECAY) * own / count
                self.other[name] = _DECAY * self.other.get(name, 0.0) + (1 - _DECAY) * other / count
                self.times[name] = self.times.get(name, 0.0) + 1

    def _sum_up(self, masks: Tensor, logits: Tensor, losses: Tensor, labels: Tensor, first: int) -> Tensor:
        """Return (3, M) number, own losses and losses with another label, summed over the samples of a lone sensor.

        Args:
            masks: (M, B), the sensors that each sample keeps.
            logits: see `observe`.
            losses: see `observe`.
            labels: (N, h, w), every second pixel of the labels to choose others from.
            first: where the samples begin among them.
        """
        rows = (masks.sum(0) == 1).nonzero()[:, 0]
        nothing = losses.new_zeros(3, len(masks))
        # A share draws the shift in any case, as the whole batch does, in which another share has such samples.
        if len(labels) < 2 or (not len(rows) and active_share() is None):
            return nothing
        shift = 1 + int(torch.randint(len(labels) - 1, ()))  # neighbours in a batch may be alike
        if not len(rows):
            return nothing
        with torch.no_grad():
            other_losses, valid = sample_cross_entropy(
                logits[rows][_SPARSE], labels[(rows + first + shift) % len(labels)], self.ignore_index,
                self.class_balance,
            )  # fmt: skip
            counted = (masks[:, rows] & (valid > 0)).to(other_losses)
            return torch.stack([counted.sum(1), counted @ losses[rows].to(other_losses), counted @ other_losses])

    def relevance(self, name: str) -> float:
        """Return u_i in [0, 1]; 1 for a sensor that has not been observed."""
        if not self.other.get(name):
            return 1.0
        return min(1.0, max(0.0, 1 - self.own[name] / self.other[name]))

    def weight(self, name: str) -> float:
        """Return the weight of a sensor's term: its relevance over that of the best sensor."""
        if self.times.get(name, 0) < PATIENCE:
            return 1.0
        best = max(self.relevance(sensor) for sensor, times in self.times.items() if times >= PATIENCE)
        return max(FLOOR, self.relevance(name) / best) if best >= _LEAST_RELEVANCE else 1.0

    def weights(self, names: Iterable[str]) -> dict[str, float]:
        """Return {sensor: weight}."""
        return {name: self.weight(name) for name in names}

    def subset_weights(self, kept: Mapping[str, Tensor]) -> Tensor:
        """Return the weights (B,) of samples that keep {sensor: (B,) bool}: that of the best sensor in the subset."""
        return torch.stack([mask * self.weight(name) for name, mask in kept.items()]).amax(0)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running means and counts as scalars, `own/<sensor>`, `other/<sensor>` and `times/<sensor>`."""
        return {
            kind + name: torch.tensor(value, dtype=torch.float64)
            for kind, values in zip(self.KEYS, (self.own, self.other, self.times), strict=True)
            for name, value in values.items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned; other keys are ignored."""
        self.own, self.other, self.times = (
            {key.removeprefix(kind): float(value) for key, value in state.items() if key.startswith(kind)}
            for kind in self.KEYS
        )


def _sum_over_ranks(share: BatchShare, kept: Mapping[str, Tensor], sums: Tensor) -> dict[str, list[float]]:
    """Return {sensor: column of sums (3, M)}, over all processes; they may differ in the sensors that they have."""
    names = sorted(share.sensor_weights)
    whole = sums.new_zeros(3, len(names))
    for name, column in zip(kept, sums.T, strict=True):
        whole[:, names.index(name)] = column
    return dict(zip(names, share.sum_over_ranks(whole).T.tolist(), strict=True))
