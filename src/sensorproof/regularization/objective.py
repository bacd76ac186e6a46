"""What a training minimises. Every arm has one interface, so that arms differ in nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from sensorproof.data.prepared import IGNORE
from sensorproof.regularization.losses import SMALLEST_F, batch_cross_entropy, presence, sample_cross_entropy
from sensorproof.settings import RegularizerSettings


@dataclass(frozen=True)
class Loss:
    """What to call backward on, and detached scalars to log."""

    value: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """Builds the loss of one step: inputs {sensor: (B, C, H, W)}, target (B, H, W), present {sensor: (B,) bool}."""

    def __call__(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss: ...

    def state_dict(self) -> dict[str, Tensor]:
        """What must survive a cut for the training to go on as if there had been none."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None: ...


class Stateless:
    """An objective that keeps nothing between steps."""

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        del state


class Plain(Stateless):
    """Cross-entropy of the fused prediction: the baseline."""

    def __call__(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss:
        logits = model(inputs, present)
        value = batch_cross_entropy(logits, target, IGNORE)
        return Loss(value, {"cross_entropy": value.detach()})


class FirstOrderLog(Stateless):
    """Cross-entropy plus strength x sum over sensors of log f_i, f_i the cross-entropy of sensor i alone.

    It is -log I_i with |grad f_i|^2 held constant: every sensor learns from its own loss on its own scale. The
    encoder's work is shared with the plain loss.
    """

    def __init__(self, settings: RegularizerSettings) -> None:
        self.settings = settings

    def __call__(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss:
        features = model.encode(inputs)
        value = batch_cross_entropy(model.decode(features, present, target.shape[-2:]), target, IGNORE)
        parts = {"cross_entropy": value.detach()}
        if step % self.settings.every == 0 and self.settings.strength > 0:
            rows = torch.randperm(len(target))[: max(1, round(len(target) * self.settings.fraction))]
            here = presence(sorted(inputs), present, target)
            terms = []
            for name in sorted(inputs):
                taken = rows[here[name][rows]]
                if len(taken):
                    one = {name: [stage[taken] for stage in features[name]]}
                    losses, _ = sample_cross_entropy(model.decode(one, None, target.shape[-2:]), target[taken], IGNORE)
                    terms.append(losses.clamp_min(SMALLEST_F).log().mean())
            term = self.settings.strength * self.settings.every * torch.stack(terms).sum()
            parts["regularizer"] = term.detach()
            value = value + term
        return Loss(value, parts)


def build_objective(arm: str, settings: RegularizerSettings, *, sensors: list[str], seed: int) -> Objective:
    return Plain() if arm == "baseline" else FirstOrderLog(settings)
