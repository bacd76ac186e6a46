"""Competing methods that scale each sensor's gradient by its lead: OGM-GE (CVPR 2022) and AGM (ICCV 2023).

Both were made for one encoder per sensor. Here one encoder serves all sensors, so a sensor's gradient is what flows
from the fused prediction into that sensor's features. It is scaled where it leaves the fusion, which in separate
encoders would scale all of the encoder's gradient alike. The contribution of a sensor is that of its own features
through the decoder, without a gradient.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sensorproof.batch_share import BatchShare, active_share
from sensorproof.data.metadata import IGNORE
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, Inputs, Loss, Present
from sensorproof.regularization.losses import batch_cross_entropy
from sensorproof.regularization.model_contexts import evaluating
from sensorproof.regularization.presence import presence_masks

_AGM_CAP = 7.0
_OGM_EPSILON = 1e-8


class _GradientModulation(CrossEntropyObjective):
    """Plain loss with the gradient into each sensor's features scaled by `factors`.

    Args:
        alpha: strength of the modulation.
        class_balance: see `CrossEntropyObjective`.
    """

    def __init__(self, alpha: float, class_balance: float = 0.0) -> None:
        super().__init__(class_balance)
        self.alpha = alpha

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        features = model.encode(inputs)
        factors = self.factors(self._unimodal_scores(model, features, target, present))
        scaled = {
            name: [scale_gradient(stage, factors.get(name, 1.0)) for stage in features[name]] for name in features
        }
        value = self.cross_entropy(model.decode(scaled, present, target.shape[-2:]), target)
        parts = {f"factor/{name}": torch.tensor(factor) for name, factor in factors.items()}
        return Loss(value, {"cross_entropy": value.detach()} | parts)

    def _unimodal_scores(
        self, model: Segmenter, features: Mapping[str, Sequence[Tensor]], target: Tensor, present: Present
    ) -> dict[str, float]:
        """Return {sensor: `unimodal_score` of its own prediction}, over the samples that have the sensor."""
        scores = {}
        with torch.no_grad(), evaluating(model):
            for name, mask in presence_masks(sorted(features), present, target).items():
                rows = mask.nonzero()[:, 0]
                if len(rows):
                    own = {name: [stage[rows].detach() for stage in features[name]]}
                    logits = model.decode(own, None, target.shape[-2:])
                    scores[name] = self.unimodal_score(logits, target[rows])
        share = active_share()
        return scores if share is None else _mean_over_ranks(share, scores, target)

    def unimodal_score(self, logits: Tensor, target: Tensor) -> float:
        """Return how good a sensor's own prediction is, a mean over valid pixels; the method defines the unit."""
        raise NotImplementedError

    def factors(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Return {sensor: factor of its gradient} from {sensor: unimodal score}."""
        raise NotImplementedError


def _mean_over_ranks(share: BatchShare, scores: Mapping[str, float], target: Tensor) -> dict[str, float]:
    """Return the scores {sensor: mean over valid pixels} of all processes that compute a share at the same time.

    Where there is only one of them, the weights cancel.
    """
    names = sorted(share.sensor_weights)
    # A share's weight of a sensor is in proportion to its valid pixels.
    weights = [share.sensor_weights[name] if name in scores else 0.0 for name in names]
    weighted = [weight * scores.get(name, 0.0) for name, weight in zip(names, weights, strict=True)]
    sums = share.sum_over_ranks(torch.tensor([weights, weighted], dtype=torch.float64, device=target.device))
    return {name: value / weight for name, weight, value in zip(names, *sums.tolist(), strict=True) if weight}


class OGMGE(_GradientModulation):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    s_m is the mean over valid pixels of the probability of the true class, and rho_m is s_m over the mean of the other
    sensors. The gradient of a sensor with rho_m > 1 is multiplied by 1 - tanh(alpha rho_m). Then Gaussian noise of the
    gradient's own standard deviation is added (`after_backward`).
    """

    def unimodal_score(self, logits: Tensor, target: Tensor) -> float:
        """Return s_m, from 0 to 1."""
        valid = target != IGNORE
        true = logits.float().softmax(1).gather(1, torch.where(valid, target, 0)[:, None])[:, 0]
        return float(true[valid].mean()) if bool(valid.any()) else 0.0

    def factors(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Return {sensor: factor}, below 1 for sensors that are ahead and 1 for the others."""
        factors = {}
        for name, own in scores.items():
            others = [score for other, score in scores.items() if other != name]
            rho = own / max(sum(others) / len(others), _OGM_EPSILON) if others else 1.0
            factors[name] = 1 - math.tanh(self.alpha * rho) if rho > 1 else 1.0
        return factors

    def after_backward(self, model: Segmenter) -> None:
        """Add noise to the gradients of the encoder: the sensors' own stems and the shared part."""
        with torch.no_grad():
            for parameter in (*model.stems.parameters(), *model.encoder.parameters()):
                if parameter.grad is not None and parameter.grad.numel() > 1:
                    grad = parameter.grad
                    # Not randn_like: in another layout in memory it would draw other numbers for the same places.
                    noise = torch.randn(grad.shape, dtype=grad.dtype, device=grad.device)
                    grad.add_(noise * grad.std())


class AGM(_GradientModulation):
    """Adaptive gradient modulation (Li et al., ICCV 2023).

    s_m is minus the cross-entropy of sensor m alone, r_m = exp(s_m - mean of the other sensors' s), and tau_m the same
    from the running means of the s. The gradient is multiplied by exp(alpha min(tau_m - r_m, 7)).
    """

    def __init__(self, alpha: float, class_balance: float = 0.0) -> None:
        super().__init__(alpha, class_balance)
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def unimodal_score(self, logits: Tensor, target: Tensor) -> float:
        """Return s_m, in nats per pixel, at most 0."""
        return -float(batch_cross_entropy(logits, target, IGNORE, self.class_balance))

    def factors(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Return {sensor: factor}, and update the running means of the scores."""
        for name, score in scores.items():
            self.sums[name] = self.sums.get(name, 0.0) + score
            self.counts[name] = self.counts.get(name, 0) + 1
        means = {name: self.sums[name] / self.counts[name] for name in scores}
        lead, mean_lead = relative_lead(scores), relative_lead(means)
        return {name: math.exp(self.alpha * min(mean_lead[name] - lead[name], _AGM_CAP)) for name in scores}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the sums and counts of the running means."""
        sums = {f"sum/{name}": torch.tensor(value, dtype=torch.float64) for name, value in self.sums.items()}
        return sums | {f"count/{name}": torch.tensor(value) for name, value in self.counts.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        self.sums = {k.removeprefix("sum/"): float(v) for k, v in state.items() if k.startswith("sum/")}
        self.counts = {k.removeprefix("count/"): int(v) for k, v in state.items() if k.startswith("count/")}


def relative_lead(scores: Mapping[str, float]) -> dict[str, float]:
    """Return {sensor: exp(its score - mean of the others)}; 1 for a lone sensor."""
    lead = {}
    for name, own in scores.items():
        others = [score for other, score in scores.items() if other != name]
        lead[name] = math.exp(own - sum(others) / len(others)) if others else 1.0
    return lead


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
    """Return the value with its gradient multiplied by factor."""
    scaled: Tensor = _ScaleGradient.apply(value, factor)
    return scaled
