"""Functional Fisher information of a model's predictions, exact or from finite differences, and the penalties on it."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sensorproof.errors import SensorproofError
from sensorproof.regularization.entropy import fisher_information
from sensorproof.regularization.losses import sample_cross_entropy
from sensorproof.regularization.passes import twice_differentiable

STEP = 0.1
"""Step of the finite difference, as a multiple of the perturbation."""


def penalty(information: Mapping[str, Tensor], form: str, epsilon: float) -> Tensor:
    """What makes every sensor's information large.

    Args:
        information: {sensor: scalar}.
        form: `single`: -sum log I; `paper`: sum 1 / I; `gat`: the 2-norm of 1 / I.
        epsilon: added to I, so that a sensor that is ignored gives a finite value.

    Raises:
        SensorproofError: an information is not finite.
    """
    stacked = torch.stack([information[name] for name in sorted(information)])
    if not bool(torch.isfinite(stacked).all()):
        raise SensorproofError("logits", "are not finite", "lower the learning rate or the regulariser's strength")
    if form == "single":
        return -(stacked + epsilon).log().sum()
    inverse = 1 / (stacked + epsilon)
    return inverse.sum() if form == "paper" else torch.linalg.vector_norm(inverse)


@dataclass(frozen=True)
class Probe:
    """Extra passes through a model; see FunctionalEntropy for the arguments."""

    model: Any
    sigma: float
    ignore_index: int
    epsilon: float
    absent: Literal["omit", "zero"] = "omit"

    def lone_pass(self, one: Mapping[str, Tensor], inputs: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """A pass with one sensor; the others are left out, or zero."""
        if self.absent == "zero":
            one = {**{n: torch.zeros_like(x[rows]) for n, x in inputs.items()}, **one}
        logits: Tensor = self.model(one)
        return logits

    def alone(self, inputs: Mapping[str, Tensor], name: str, target: Tensor, rows: Tensor, *, exact: bool) -> Tensor:
        """Information of one sensor's own prediction, a scalar; exact keeps its graph for a second derivative."""
        taken = inputs[name][rows]
        scale = self.sigma * taken.detach().float().std()
        point = (taken.detach() + scale * torch.randn_like(taken)).requires_grad_()
        with twice_differentiable() if exact else nullcontext():
            logits = self.lone_pass({name: point}, inputs, rows)
            losses, valid = sample_cross_entropy(logits, target[rows], self.ignore_index)
            sums = losses * valid
            each = fisher_information(sums, {name: point}, {name: scale}, create_graph=exact, epsilon=self.epsilon)
        return each[name].mean()

    def joint(
        self,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        form: str,
        *,
        exact: bool,
    ) -> dict[str, Tensor]:
        """{sensor: scalar} information of the prediction with all sensors perturbed, with a graph."""
        scale = {name: self.sigma * x.detach().float().std() for name, x in inputs.items()}
        points = {
            name: (x.detach() + scale[name] * torch.randn_like(x)).requires_grad_(exact) for name, x in inputs.items()
        }
        reference = self.predict(inputs, here).softmax(1) if form == "gat" else None
        with twice_differentiable() if exact else nullcontext():
            f = self.joint_loss(points, target, here, reference)
            if exact:
                each = fisher_information(f, points, scale, create_graph=True, epsilon=self.epsilon)
            else:
                each = self.differences(f, points, scale, target, here, reference)
        return {name: each[name][here[name]].mean() for name in points}

    def differences(
        self,
        f: Tensor,
        points: Mapping[str, Tensor],
        scale: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        reference: Tensor | None,
    ) -> dict[str, Tensor]:
        """sigma^2 |grad_i f|^2 / f with |grad_i f|^2 = E_v[(v.grad_i f)^2], v standard normal, from one more pass each.

        Hutchinson's estimator with a finite difference along v: only first derivatives are ever taken.
        """
        found = {}
        for name, point in points.items():
            moved = {**points, name: point + STEP * scale[name] * torch.randn_like(point)}
            slope = (self.joint_loss(moved, target, here, reference) - f) / STEP
            found[name] = slope.square() / (f + self.epsilon)
        return found

    def joint_loss(
        self, points: Mapping[str, Tensor], target: Tensor, here: Mapping[str, Tensor], reference: Tensor | None
    ) -> Tensor:
        """(B,) f of the fused prediction, summed over valid pixels: against the label, or the clean prediction."""
        logits = self.predict(points, here)
        if reference is None:
            losses, valid = sample_cross_entropy(logits, target, self.ignore_index)
            return losses * valid
        each = -(reference * logits.float().log_softmax(1)).sum(1)
        if each.shape[-2:] != target.shape[-2:]:
            each = interpolate(each[:, None], size=target.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        return (each * (target != self.ignore_index)).flatten(1).sum(1)

    def predict(self, inputs: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> Tensor:
        """Logits from all sensors; a model that knows `present` is told which samples lack one."""
        if all(bool(mask.all()) for mask in here.values()):
            logits: Tensor = self.model(inputs)
            return logits
        return self.model(inputs, here)
