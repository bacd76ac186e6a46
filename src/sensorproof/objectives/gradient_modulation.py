"""Rivals that scale each sensor's gradient by how far it is ahead: OGM-GE (CVPR 2022) and AGM (ICCV 2023).

Both were made for one encoder a sensor. Here one encoder serves all, so a sensor's gradient is what flows from the
fused prediction into that sensor's features: it is scaled where it leaves the fusion, which in separate encoders would
scale all of the encoder's gradient alike. The contribution of a sensor is that of its own features through the decoder,
without a gradient.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sensorproof.data.metadata import IGNORE
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, Loss
from sensorproof.regularization.losses import presence
from sensorproof.regularization.model_contexts import evaluating

Present = Mapping[str, Tensor] | None
_AGM_CAP = 7.0


class _GradientModulation(CrossEntropyObjective):
    """The plain loss with the gradient into each sensor's features scaled by `factors`."""

    def __call__(
        self, model: Segmenter, inputs: Mapping[str, Tensor], target: Tensor, present: Present, step: int
    ) -> Loss:
        size = target.shape[-2:]
        features = model.encode(inputs)
        scores = self.scores(model, features, target, present)
        factors = self.factors(scores)
        scaled = {
            name: [scale_gradient(stage, factors.get(name, 1.0)) for stage in features[name]] for name in features
        }
        value = self.cross_entropy(model.decode(scaled, present, size), target)
        return Loss(value, {"cross_entropy": value.detach()} | {
            f"factor/{name}": torch.tensor(factor) for name, factor in factors.items()
        })  # fmt: skip

    def scores(
        self, model: Segmenter, features: Mapping[str, Sequence[Tensor]], target: Tensor, present: Present
    ) -> dict[str, float]:
        """How well each sensor does alone: `score_alone` of its logits, over the samples that have it."""
        found = {}
        with torch.no_grad(), evaluating(model):
            for name, mask in presence(sorted(features), present, target).items():
                rows = mask.nonzero()[:, 0]
                if len(rows):
                    one = {name: [stage[rows].detach() for stage in features[name]]}
                    found[name] = self.score_alone(model.decode(one, None, target.shape[-2:]), target[rows])
        return found

    def score_alone(self, logits: Tensor, target: Tensor) -> float:
        raise NotImplementedError

    def factors(self, scores: Mapping[str, float]) -> dict[str, float]:
        raise NotImplementedError


class OGMGE(_GradientModulation):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    s_m = mean over valid pixels of the probability of the true class; rho_m = s_m over the mean of the others'; the
    gradient of a sensor with rho > 1 times 1 - tanh(alpha rho), then Gaussian noise of the gradient's own standard
    deviation (`after_backward`).
    """

    def __init__(self, alpha: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.alpha = alpha

    def score_alone(self, logits: Tensor, target: Tensor) -> float:
        valid = target != IGNORE
        true = logits.float().softmax(1).gather(1, torch.where(valid, target, 0)[:, None])[:, 0]
        return float(true[valid].mean()) if bool(valid.any()) else 0.0

    def factors(self, scores: Mapping[str, float]) -> dict[str, float]:
        factors = {}
        for name, own in scores.items():
            others = [each for other, each in scores.items() if other != name]
            rho = own / max(sum(others) / len(others), 1e-8) if others else 1.0
            factors[name] = 1 - math.tanh(self.alpha * rho) if rho > 1 else 1.0
        return factors

    def after_backward(self, model: Segmenter) -> None:
        """Generalisation enhancement: noise on the encoders' gradients, a sensor's own stem and what all share."""
        with torch.no_grad():
            for parameter in (*model.stems.parameters(), *model.encoder.parameters()):
                if parameter.grad is not None and parameter.grad.numel() > 1:
                    parameter.grad.add_(torch.randn_like(parameter.grad) * parameter.grad.std())


class AGM(_GradientModulation):
    """Adaptive gradient modulation (Li et al., ICCV 2023).

    s_m = minus the cross-entropy of sensor m alone; r_m = exp(s_m - mean of the others' s); tau_m the same from the
    running means of the s; the gradient times exp(alpha min(tau_m - r_m, 7)).
    """

    def __init__(self, alpha: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.alpha = alpha
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def score_alone(self, logits: Tensor, target: Tensor) -> float:
        return -float(self.cross_entropy(logits, target))

    def factors(self, scores: Mapping[str, float]) -> dict[str, float]:
        for name, score in scores.items():
            self.sums[name] = self.sums.get(name, 0.0) + score
            self.counts[name] = self.counts.get(name, 0) + 1
        means = {name: self.sums[name] / self.counts[name] for name in scores}
        lead, usual = relative_lead(scores), relative_lead(means)
        return {name: math.exp(self.alpha * min(usual[name] - lead[name], _AGM_CAP)) for name in scores}

    def state_dict(self) -> dict[str, Tensor]:
        sums = {f"sum/{name}": torch.tensor(value, dtype=torch.float64) for name, value in self.sums.items()}
        return sums | {f"count/{name}": torch.tensor(value) for name, value in self.counts.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.sums = {k.removeprefix("sum/"): float(v) for k, v in state.items() if k.startswith("sum/")}
        self.counts = {k.removeprefix("count/"): int(v) for k, v in state.items() if k.startswith("count/")}


def relative_lead(scores: Mapping[str, float]) -> dict[str, float]:
    """exp(own score - mean of the others'), 1 for a lone sensor."""
    found = {}
    for name, own in scores.items():
        others = [each for other, each in scores.items() if other != name]
        found[name] = math.exp(own - sum(others) / len(others)) if others else 1.0
    return found


class _ScaleGradient(torch.autograd.Function):
    """Identity whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor  # type: ignore[attr-defined]
        return value.view_as(value)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None  # type: ignore[attr-defined]


def scale_gradient(value: Tensor, factor: float) -> Tensor:
    """The value itself, with its gradient multiplied by factor."""
    scaled: Tensor = _ScaleGradient.apply(value, factor)
    return scaled
