"""Functional Fisher information of a model's predictions, exact or from finite differences, and the penalties on it."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sensorproof.regularization.checks import check_finite
from sensorproof.regularization.entropy import fisher_information
from sensorproof.regularization.losses import sample_cross_entropy, to_float32
from sensorproof.regularization.model_contexts import Draws, twice_differentiable
from sensorproof.regularization.subset_sampling import Missing, subset_logits, takes

_STEP = 0.1
"""Step of the finite difference, as a multiple of the perturbation."""


def penalty(information: Mapping[str, Tensor], variant: str, epsilon: float) -> Tensor:
    """What makes every sensor's information large.

    Args:
        information: {sensor: scalar}.
        form: `to_float32`: -sum log I; `paper`: sum 1 / I; `gat`: the 2-norm of 1 / I. All are 0 of no sensor.
        epsilon: added to I, so that a sensor that is ignored gives a finite value.

    Raises:
        SensorproofError: an information is not finite.
    """
    if not information:
        return torch.zeros(())
    stacked = torch.stack([information[name] for name in sorted(information)])
    check_finite(stacked)
    if variant == "single":
        return -(stacked + epsilon).log().sum()
    inverse = 1 / (stacked + epsilon)
    return inverse.sum() if variant == "paper" else torch.linalg.vector_norm(inverse)


@dataclass(frozen=True)
class InformationEstimator:
    """Extra passes through a model; see FunctionalEntropy for the arguments."""

    model: Any
    sigma: float
    ignore_index: int
    epsilon: float
    missing: Missing = "drop"
    class_balance: float = 0.0
    """Of a sensor's own prediction."""

    def _unimodal_pass(self, one: Mapping[str, Tensor], inputs: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """A pass with one sensor; the others are left out, or zero."""
        if self.missing == "zero":
            one = {**{n: torch.zeros_like(x[rows]) for n, x in inputs.items()}, **one}
        logits: Tensor = self.model(one)
        return logits

    def unimodal(self, inputs: Mapping[str, Tensor], name: str, target: Tensor, rows: Tensor, *, exact: bool) -> Tensor:
        """Information of one sensor's own prediction, a scalar; exact keeps its graph for a second derivative."""
        taken = inputs[name][rows].detach()
        scale = self.sigma * to_float32(taken).std()
        point = (taken + scale * torch.randn_like(taken)).requires_grad_()
        with torch.enable_grad(), twice_differentiable() if exact else nullcontext():
            logits = self._unimodal_pass({name: point}, inputs, rows)
            losses, valid = sample_cross_entropy(logits, target[rows], self.ignore_index, self.class_balance)
            sums = losses * valid
            each = fisher_information(
                sums, {name: point}, {name: scale}, create_graph=exact, retain_graph=exact, epsilon=self.epsilon
            )
        return each[name].mean() if exact else each[name].mean().detach()

    def joint(
        self,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        variant: str,
        *,
        exact: bool,
    ) -> dict[str, Tensor]:
        """{sensor: scalar} information of the prediction with all sensors perturbed, with a graph.

        Args:
            inputs: {sensor: (B, C, H, W)}, of absent ones too.
            here: {sensor: (B,) bool}; each sample has at least one. What stands in for an absent image is not read.
        """
        here = {name: mask for name, mask in here.items() if bool(mask.any())}
        scale = {name: self.sigma * to_float32(inputs[name][mask].detach()).std() for name, mask in here.items()}
        clean = {name: zero_absent(x.detach(), here.get(name)) for name, x in inputs.items()}
        points = {name: clean[name] + scale[name] * torch.randn_like(clean[name]) for name in here}
        points = {name: point.requires_grad_(exact) for name, point in points.items()}
        draws = Draws(target.device)
        with torch.enable_grad(), twice_differentiable() if exact else nullcontext():
            reference = None
            if variant == "gat":
                reference = self.predict(clean, here, target).softmax(1)
            with draws.again() if variant == "gat" else nullcontext():
                f = self._joint_loss(clean | points, target, here, reference)
            if exact:
                each = fisher_information(f, points, scale, create_graph=True, epsilon=self.epsilon)
            else:
                each = self._finite_difference(f, clean | points, scale, target, here, reference, draws)
        return {name: each[name][mask].mean() for name, mask in here.items()}

    def _finite_difference(
        self,
        f: Tensor,
        points: Mapping[str, Tensor],
        scale: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        reference: Tensor | None,
        draws: Draws,
    ) -> dict[str, Tensor]:
        """sigma^2 |grad_i f|^2 / f with |grad_i f|^2 = E_v[(v.grad_i f)^2], v standard normal, from one more pass each.

        Hutchinson's estimator with a finite difference along v: only first derivatives are ever taken.
        """
        found = {}
        for name in here:
            moved = {**points, name: points[name] + _STEP * scale[name] * torch.randn_like(points[name])}
            with draws.again():
                slope = (self._joint_loss(moved, target, here, reference) - f) / _STEP
            found[name] = slope.square() / (f + self.epsilon)
        return found

    def _joint_loss(
        self, points: Mapping[str, Tensor], target: Tensor, here: Mapping[str, Tensor], reference: Tensor | None
    ) -> Tensor:
        """(B,) f of the fused prediction, summed over valid pixels: against the label, or the clean prediction."""
        logits = self.predict(points, here, target)
        if reference is None:
            losses, valid = sample_cross_entropy(logits, target, self.ignore_index)
            return losses * valid
        each = -(reference * to_float32(logits).log_softmax(1)).sum(1)
        if each.shape[-2:] != target.shape[-2:]:
            each = interpolate(each[:, None], size=target.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        return (each * (target != self.ignore_index)).flatten(1).sum(1)

    def predict(self, inputs: Mapping[str, Tensor], here: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Logits from the sensors that each sample has.

        A model that knows `present` is told which samples lack one; in others, samples with the same sensors share a
        pass.
        """
        if all(name in here and bool(here[name].all()) for name in inputs):
            logits: Tensor = self.model(inputs)
            return logits
        if self.missing == "drop" and takes(self.model.forward, "present"):
            return self.model({name: inputs[name] for name in here}, present=here)
        height, width = target.shape[-2:]
        return subset_logits(self.model, inputs, None, here, self.missing, (height, width))


def zero_absent(x: Tensor, here: Tensor | None) -> Tensor:
    """Zeros in place of what stands in for absent images, which may be anything, NaN included."""
    if here is None:
        return torch.zeros_like(x)
    if bool(here.all()):
        return x
    return torch.where(here.reshape(-1, 1, 1, 1), x, 0.0)
