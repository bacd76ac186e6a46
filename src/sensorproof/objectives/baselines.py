"""What a user would choose instead of the regulariser, each as its authors describe it and behind one interface.

All share the encoder's work with the plain loss, so that none is slower than it must be.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sensorproof.errors import UsageError
from sensorproof.models import Segmenter
from sensorproof.models.decoder import resize
from sensorproof.objectives.base import CrossEntropyObjective, Loss
from sensorproof.regularization.losses import presence
from sensorproof.regularization.subset_sampling import modality_dropout

Present = Mapping[str, Tensor] | None


class ModalityDropout(CrossEntropyObjective):
    """Drop each sensor of each sample with probability p, keep at least one (Neverova et al., ModDrop, 2016)."""

    def __init__(self, p: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        if not 0 <= p <= 1:
            raise UsageError("strength", f"is {p} for modality_dropout", "give a probability, 0 to 1")
        self.p = p

    def __call__(
        self, model: Segmenter, inputs: Mapping[str, Tensor], target: Tensor, present: Present, step: int
    ) -> Loss:
        kept = modality_dropout(presence(sorted(inputs), present, target), self.p)
        value = self.cross_entropy(model.decode(model.encode(inputs), kept, target.shape[-2:]), target)
        return Loss(value, {"cross_entropy": value.detach()})


class RandomSubset(CrossEntropyObjective):
    """The plain loss plus the loss on a random non-empty subset of the sensors, drawn for every sample."""

    def __init__(self, strength: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.strength = strength

    def __call__(
        self, model: Segmenter, inputs: Mapping[str, Tensor], target: Tensor, present: Present, step: int
    ) -> Loss:
        features, plain = self.plain_pass(model, inputs, target, present)
        kept = modality_dropout(presence(sorted(inputs), present, target), 0.5)
        subset = self.cross_entropy(model.decode(features, kept, target.shape[-2:]), target)
        value = plain + self.strength * subset
        return Loss(value, {"cross_entropy": plain.detach(), "subset": subset.detach()})


class SingleModality(CrossEntropyObjective):
    """The plain loss plus the mean of the single-sensor losses, each over the samples that have the sensor.

    One decoding serves the samples of all sensors, one below the other: its normalisations see the mixture that
    evaluation will bring.
    """

    def __init__(self, strength: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.strength = strength

    def __call__(
        self, model: Segmenter, inputs: Mapping[str, Tensor], target: Tensor, present: Present, step: int
    ) -> Loss:
        features, plain = self.plain_pass(model, inputs, target, present)
        here, size = presence(sorted(inputs), present, target), target.shape[-2:]
        places = {name: mask.nonzero()[:, 0] for name, mask in here.items() if bool(mask.any())}
        stages = zip(*(features[name] for name in places), strict=True)
        one = [below(stage, list(places.values())) for stage in stages]
        logits = model.decode({next(iter(places)): one}, None, size)
        parts = zip(logits.split([len(each) for each in places.values()]), places.values(), strict=True)
        losses = [self.cross_entropy(own, target[each]) for own, each in parts]
        single = torch.stack(losses).mean()
        value = plain + self.strength * single
        return Loss(value, {"cross_entropy": plain.detach(), "single": single.detach()})


def below(stages: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """Rows of one stage of several sensors (B, C, h, w), at the size of the largest, one below the other."""
    size = max((stage.shape[-2:] for stage in stages), key=lambda each: each[0] * each[1])
    return torch.cat([resize(stage[own], size) for stage, own in zip(stages, rows, strict=True)])
