"""Competing methods, each as its authors describe it, behind one interface.

All share the encoder's work with the plain loss, so that none is slower than it has to be.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorproof.batch_share import active_share
from sensorproof.errors import UsageError
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, Inputs, Loss, Present
from sensorproof.regularization.presence import presence_masks
from sensorproof.regularization.subset_sampling import modality_dropout
from sensorproof.resizing import largest_size, resize


class ModalityDropout(CrossEntropyObjective):
    """Cross-entropy after modality dropout (Neverova et al., ModDrop, 2016).

    Args:
        p: probability that a sensor of a sample is dropped; each sample keeps at least one.
        class_balance: see `CrossEntropyObjective`.

    Raises:
        UsageError: p is no probability.
    """

    def __init__(self, p: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        if not 0 <= p <= 1:
            raise UsageError("strength", f"is {p} for modality_dropout", "give a probability, 0 to 1")
        self.p = p

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        kept = modality_dropout(presence_masks(sorted(inputs), present, target), self.p)
        value = self.cross_entropy(model.decode(model.encode(inputs), kept, target.shape[-2:]), target)
        return Loss(value, {"cross_entropy": value.detach()})


class RandomSubset(CrossEntropyObjective):
    """Plain loss plus the loss on a random non-empty subset of the sensors, drawn for every sample.

    Args:
        strength: weight of the second loss.
        class_balance: see `CrossEntropyObjective`.
    """

    def __init__(self, strength: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.strength = strength

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        features, plain = self.plain_pass(model, inputs, target, present)
        kept = modality_dropout(presence_masks(sorted(inputs), present, target), 0.5)
        subset = self.cross_entropy(model.decode(features, kept, target.shape[-2:]), target)
        value = plain + self.strength * subset
        return Loss(value, {"cross_entropy": plain.detach(), "subset": subset.detach()})


class SingleModality(CrossEntropyObjective):
    """Plain loss plus the mean of the single-sensor losses, each over the samples that have the sensor.

    One decoding serves the samples of all sensors: its normalisations see the mixture that evaluation will bring.

    Args:
        strength: weight of the second loss.
        class_balance: see `CrossEntropyObjective`.
    """

    def __init__(self, strength: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.strength = strength

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        features, plain = self.plain_pass(model, inputs, target, present)
        masks = presence_masks(sorted(inputs), present, target)
        rows = {name: mask.nonzero()[:, 0] for name, mask in masks.items() if bool(mask.any())}
        stages = zip(*(features[name] for name in rows), strict=True)
        stacked = [_stack_rows(stage, list(rows.values())) for stage in stages]
        # The decoder sees the samples of all sensors as a batch of one sensor.
        logits = model.decode({next(iter(rows)): stacked}, None, target.shape[-2:])
        parts = zip(rows, logits.split([len(own) for own in rows.values()]), strict=True)
        losses = [self.cross_entropy(own_logits, target[rows[n]], n) for n, own_logits in parts]
        share = active_share()
        if share is None:
            single = torch.stack(losses).mean()
        else:
            single = torch.stack(losses).sum() / sum(weight > 0 for weight in share.sensor_weights.values())
        value = plain + self.strength * single
        return Loss(value, {"cross_entropy": plain.detach(), "single": single.detach()})


def _stack_rows(stages: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """Concatenate rows of one stage of several sensors (B, C, h, w) as one batch, at the size of the largest."""
    size = largest_size(stages)
    return torch.cat([resize(stage[own], size) for stage, own in zip(stages, rows, strict=True)])
