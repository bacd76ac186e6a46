"""Functional Fisher information of a model's predictions, exact or from finite differences."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sensorproof.batch_share import sharing
from sensorproof.regularization.checks import check_classes
from sensorproof.regularization.entropy import fisher_information
from sensorproof.regularization.losses import sample_cross_entropy, to_float32
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.model_contexts import RngSnapshot, frozen_norm_stats, twice_differentiable
from sensorproof.regularization.presence import zero_absent
from sensorproof.regularization.recomputation import without_reentrant_checkpoints
from sensorproof.regularization.sensor_batch import SensorBatch
from sensorproof.regularization.subset_passes import predict_from, present_logits
from sensorproof.resizing import resize

_STEP = 0.1
"""Step of the finite difference, as a multiple of the perturbation."""
_MEASURED_SAMPLES = 2
"""Samples per sensor from which the information to log is taken: it is not trained on, and noise averages out."""


@dataclass(frozen=True)
class InformationEstimator:
    """Estimates I_i = E[sigma_i^2 |grad_i f|^2 / f] with extra passes through a model."""

    sigma: float
    """Standard deviation of the perturbation, as a multiple of each sensor's own."""
    epsilon: float
    """Added to f in the denominator."""
    ignore_index: int
    """Label of pixels that do not count."""
    class_balance: float
    """Of the cross-entropy of a sensor's own prediction; see `losses.pixel_weights`."""
    missing: MissingSensors
    """How sensors are taken away from the model."""

    def measure(self, model: nn.Module, batch: SensorBatch, names: Iterable[str]) -> dict[str, Tensor]:
        """Measure the information of each sensor's own prediction on a few samples, without a graph.

        Returns:
            {sensor: scalar}; sensors that none of the chosen samples has are left out.
        """
        rows = {name: batch.rows[batch.present[name][batch.rows]][:_MEASURED_SAMPLES] for name in names}
        with sharing(None), frozen_norm_stats(model):  # so few samples are no share of the batch
            return {n: self.unimodal(model, batch, n, some, exact=False) for n, some in rows.items() if len(some)}

    def unimodal(self, model: nn.Module, batch: SensorBatch, name: str, rows: Tensor, *, exact: bool) -> Tensor:
        """Return the information of one sensor's own prediction, where f is its cross-entropy with the label.

        Args:
            model: see `FunctionalEntropy`.
            batch: the step's batch.
            name: the sensor.
            rows: (n,) indices of samples that have the sensor.
            exact: keep the graph, to be differentiated a second time.

        Returns:
            A scalar, the mean over the samples.
        """
        clean = batch.inputs[name][rows].detach()
        scale = self.sigma * to_float32(clean).std()
        point = (clean + scale * torch.randn_like(clean)).requires_grad_()
        with torch.enable_grad(), twice_differentiable() if exact else without_reentrant_checkpoints():
            zeros = self.missing.as_zeros(model, batch.inputs, batch.present)
            logits = predict_from(model, {name: point}, batch.inputs, rows, zeros=zeros)
            check_classes(logits, batch.target, self.ignore_index)
            losses, valid = sample_cross_entropy(logits, batch.target[rows], self.ignore_index, self.class_balance)
            integrand = fisher_information(
                losses * valid,
                {name: point},
                {name: scale},
                create_graph=exact,
                retain_graph=exact,
                epsilon=self.epsilon,
            )[name]
        return integrand.mean() if exact else integrand.mean().detach()

    def joint(self, model: nn.Module, batch: SensorBatch, *, against_clean: bool, exact: bool) -> dict[str, Tensor]:
        """Return the information of every sensor in the prediction with all sensors perturbed, with a graph.

        Args:
            model: see `FunctionalEntropy`.
            batch: the step's batch; each of its chosen samples has at least one sensor.
            against_clean: f is the cross-entropy with the prediction from the clean inputs (Gat et al., NeurIPS
                2020) instead of that with the label (arXiv 2505.06635).
            exact: differentiate the model; otherwise take a finite difference of two passes for each sensor.

        Returns:
            {sensor: scalar}; sensors that none of the chosen samples has are left out.
        """
        inputs = batch.row_inputs
        present = {name: mask for name, mask in batch.row_masks.items() if bool(mask.any())}
        scale = {name: self.sigma * to_float32(inputs[name][mask].detach()).std() for name, mask in present.items()}
        clean = {name: zero_absent(x.detach(), present.get(name)) for name, x in inputs.items()}
        points = {name: clean[name] + scale[name] * torch.randn_like(clean[name]) for name in present}
        points = {name: point.requires_grad_(exact) for name, point in points.items()}
        passes = _JointPasses(self, model, batch.target[batch.rows], present, RngSnapshot(batch.target.device))
        with torch.enable_grad(), twice_differentiable() if exact else nullcontext():
            reference = passes.logits(clean).softmax(1) if against_clean else None
            with passes.rng.replay() if against_clean else nullcontext():
                f = passes.loss(clean | points, reference)
            if exact:
                integrand = fisher_information(f, points, scale, create_graph=True, epsilon=self.epsilon)
            else:
                integrand = passes.finite_difference(f, clean | points, scale, reference)
        return {name: integrand[name][mask].mean() for name, mask in present.items()}


@dataclass(frozen=True)
class _JointPasses:
    """Passes of the chosen samples with all sensors that they have; those that are compared draw the same masks."""

    estimator: InformationEstimator
    model: nn.Module
    target: Tensor
    present: Mapping[str, Tensor]
    rng: RngSnapshot

    def logits(self, points: Mapping[str, Tensor]) -> Tensor:
        height, width = self.target.shape[-2:]
        return present_logits(self.model, points, self.present, self.estimator.missing, (height, width))

    def loss(self, points: Mapping[str, Tensor], reference: Tensor | None) -> Tensor:
        """Return f (n,) summed over the valid pixels: against `reference`, probabilities (n, K, h, w), or the label."""
        logits = self.logits(points)
        if reference is None:
            check_classes(logits, self.target, self.estimator.ignore_index)
            losses, valid = sample_cross_entropy(logits, self.target, self.estimator.ignore_index)
            return losses * valid
        losses = -(reference * to_float32(logits).log_softmax(1)).sum(1)
        losses = resize(losses[:, None], self.target.shape[-2:])[:, 0]
        return (losses * (self.target != self.estimator.ignore_index)).flatten(1).sum(1)

    def finite_difference(
        self, f: Tensor, points: Mapping[str, Tensor], scale: Mapping[str, Tensor], reference: Tensor | None
    ) -> dict[str, Tensor]:
        """Return sigma^2 |grad_i f|^2 / f from one more pass for each sensor; only first derivatives are ever taken.

        Hutchinson's estimator |grad_i f|^2 = E_v[(v.grad_i f)^2] for a standard normal v, with a finite difference
        along v.
        """
        integrand = {}
        for name in self.present:
            moved = {**points, name: points[name] + _STEP * scale[name] * torch.randn_like(points[name])}
            with self.rng.replay():
                slope = (self.loss(moved, reference) - f) / _STEP
            integrand[name] = slope.square() / (f + self.estimator.epsilon)
        return integrand
