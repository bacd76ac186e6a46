"""The interface of objectives: what an arm minimises, the same for every arm so that arms differ in nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from sensorproof.batch_share import active_share
from sensorproof.data.metadata import IGNORE
from sensorproof.models import Segmenter
from sensorproof.models.segmenter import Features
from sensorproof.objectives.hard_pixels import hard_cross_entropy
from sensorproof.regularization.losses import batch_cross_entropy

Inputs = Mapping[str, Tensor]
"""{sensor: (B, C, H, W)}."""
Present = Mapping[str, Tensor] | None
"""{sensor: (B,) bool}, which samples have the sensor; None for all."""


@dataclass(frozen=True)
class Loss:
    """The loss of one step.

    Attributes:
        value: scalar, to call backward on.
        parts: {name: scalar}, detached, to log.
    """

    value: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """What an arm minimises."""

    hard_pixels: float | None
    """See `CrossEntropyObjective`."""

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step.

        Args:
            model: in training mode.
            inputs: {sensor: (B, C, H, W)}.
            target: (B, H, W), classes or IGNORE.
            present: {sensor: (B,) bool}, which samples have the sensor; None for all.
            step: number of the step, from 0.
        """
        ...

    def after_backward(self, model: Segmenter) -> None:
        """Change the gradients between the backward pass and the optimiser's step."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Return what an interrupted training needs to continue as if it had not been interrupted."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        ...


class CrossEntropyObjective:
    """Base of objectives made of cross-entropies; it keeps no state and leaves the gradients as they are.

    Args:
        class_balance: of each cross-entropy; see `regularization.losses.pixel_weights`.

    Attributes:
        hard_pixels: the plain losses count only pixels whose true class has at most this probability (OHEM); None
            for all. See `hard_pixels.hard_cross_entropy`.
    """

    def __init__(self, class_balance: float = 0.0) -> None:
        self.class_balance = class_balance
        self.hard_pixels: float | None = None

    def cross_entropy(self, logits: Tensor, target: Tensor, sensor: str | None = None) -> Tensor:
        """Return the mean over all valid pixels of the batch, a scalar; in a share of it, the share's part.

        Args:
            logits: (B, K, H, W).
            target: (B, H, W), classes or IGNORE.
            sensor: the samples are those that have this sensor; None if they are all.
        """
        if self.hard_pixels is None:
            value = batch_cross_entropy(logits, target, IGNORE, self.class_balance)
        else:
            value = hard_cross_entropy(logits, target, IGNORE, self.class_balance, self.hard_pixels)
        share = active_share()
        if share is None:
            return value
        return value * (share.pixel_weight if sensor is None else share.sensor_weights[sensor])

    def plain_pass(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present) -> tuple[Features, Tensor]:
        """Return the encoder's features, for further decodings, and the cross-entropy of the fused prediction."""
        features = model.encode(inputs)
        return features, self.cross_entropy(model.decode(features, present, target.shape[-2:]), target)

    def after_backward(self, model: Segmenter) -> None:
        """Leave the gradients as they are."""
        del model

    def state_dict(self) -> dict[str, Tensor]:
        """Return no state."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore nothing."""
        del state


class CrossEntropyOnly(CrossEntropyObjective):
    """Cross-entropy of the fused prediction: the baseline."""

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        _, value = self.plain_pass(model, inputs, target, present)
        return Loss(value, {"cross_entropy": value.detach()})
