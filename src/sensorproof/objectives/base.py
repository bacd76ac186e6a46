"""What a training minimises. Every arm has one interface, so that arms differ in nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from sensorproof.data.metadata import IGNORE
from sensorproof.models import Segmenter
from sensorproof.models.segmenter import Features
from sensorproof.regularization.losses import batch_cross_entropy


@dataclass(frozen=True)
class Loss:
    """What to call backward on, and detached scalars to log."""

    value: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """Builds the loss of one step: inputs {sensor: (B, C, H, W)}, target (B, H, W), present {sensor: (B,) bool}."""

    def __call__(
        self,
        model: Segmenter,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss: ...

    def after_backward(self, model: Segmenter) -> None:
        """Change the gradients, between the backward pass and the step."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What must survive a cut for the training to go on as if there had been none."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None: ...


class CrossEntropyObjective:
    """An objective made of cross-entropies, that keeps nothing between steps and leaves the gradients as they are.

    `class_balance` is that of each of them; see `losses.pixel_weights`.
    """

    def __init__(self, class_balance: float = 0.0) -> None:
        self.class_balance = class_balance

    def cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        """The mean over all valid pixels of the batch, a scalar."""
        return batch_cross_entropy(logits, target, IGNORE, self.class_balance)

    def plain_pass(
        self, model: Segmenter, inputs: Mapping[str, Tensor], target: Tensor, present: Mapping[str, Tensor] | None
    ) -> tuple[Features, Tensor]:
        """The encoder's features, for further decodings, and the cross-entropy of the fused prediction, a scalar."""
        features = model.encode(inputs)
        return features, self.cross_entropy(model.decode(features, present, target.shape[-2:]), target)

    def after_backward(self, model: Segmenter) -> None:
        del model

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        del state


class CrossEntropyOnly(CrossEntropyObjective):
    """Cross-entropy of the fused prediction: the baseline."""

    def __call__(
        self,
        model: Segmenter,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss:
        _, value = self.plain_pass(model, inputs, target, present)
        return Loss(value, {"cross_entropy": value.detach()})
