"""The regulariser of this project: every subset of the sensors learns from its own loss, on its own scale."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sensorproof.regularization.checks import check_classes, check_finite
from sensorproof.regularization.feature_terms import feature_terms
from sensorproof.regularization.information import InformationEstimator
from sensorproof.regularization.losses import damped_log, sample_cross_entropy
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.options import Subsets
from sensorproof.regularization.presence import zero_absent
from sensorproof.regularization.sensor_batch import SensorBatch
from sensorproof.regularization.sensor_relevance import SensorRelevance
from sensorproof.regularization.subset_passes import subset_logits
from sensorproof.regularization.subset_sampling import sample_subsets


class SubsetLogLoss(nn.Module):
    """Sum of log(f_i + 1), where f_i is the cross-entropy of the prediction from sensor i alone.

    It is -sum_i log I_i with |grad f_i|^2 held constant, since -log I_i = log f_i - log |grad f_i|^2 within constants
    (docs/explanation/method.md). Each sample keeps one sensor or one random subset, and counts as often as it has
    sensors: an unbiased estimate of the sum over its own sensors.

    Args:
        subsets: `single` keeps single sensors, `any` random non-empty subsets.
        sensors: the sensors to regularise; None for all.
        relevance_weighting: scale each sensor's term by its measured relevance.
        sigma: standard deviation of the perturbation with which the information is measured, as a multiple of each
            sensor's own. The loss itself does not depend on it.
        class_balance: of f; see `losses.pixel_weights`.
        missing: how sensors are taken away from the model.
        ignore_index: label of pixels that do not count.
        epsilon: keeps the information finite where f is 0.

    Attributes:
        relevance: the measured relevance of each sensor; None without relevance_weighting.
    """

    def __init__(
        self,
        *,
        subsets: Subsets,
        sensors: Sequence[str] | None,
        relevance_weighting: bool,
        sigma: float,
        class_balance: float,
        missing: MissingSensors,
        ignore_index: int,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.subsets: Subsets = subsets
        self.sensors = sensors
        self.relevance = SensorRelevance(class_balance, ignore_index) if relevance_weighting else None
        self.information = InformationEstimator(sigma, epsilon, ignore_index, class_balance, missing)

    def forward(
        self, model: nn.Module, batch: SensorBatch, scale: str, return_information: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss at one scale, a scalar, and {sensor: scalar} information, detached.

        At the prediction scale the information costs passes of its own; it is empty without return_information.

        Raises:
            DivergedError: the logits or the features are not finite.
        """
        if scale != "prediction":
            return self._feature_loss(batch, scale)
        information = self.measure(model, batch) if return_information else {}
        return self._prediction_loss(model, batch), information

    def measure(self, model: nn.Module, batch: SensorBatch) -> dict[str, Tensor]:
        """Measure {sensor: scalar} information of each sensor's own prediction, without a graph."""
        return self.information.measure(model, batch, batch.names(self.sensors))

    def extra_repr(self) -> str:
        """Return what `repr` shows of the options."""
        return f"subsets={self.subsets!r}, relevance_weighting={self.relevance is not None}"

    def _prediction_loss(self, model: nn.Module, batch: SensorBatch) -> Tensor:
        """Return the mean over samples of the log loss of what each keeps, times the number of its sensors."""
        zero = batch.target.new_zeros((), dtype=torch.float32)
        names = batch.names(self.sensors)
        if not names:
            return zero
        counts = torch.stack([batch.present[name][batch.rows] for name in names]).sum(0)
        rows, counts = batch.rows[counts > 0], counts[counts > 0]
        if not len(rows):
            return zero
        kept = sample_subsets({name: batch.present[name][rows] for name in names}, names, self.subsets)
        selected: Tensor | None = rows
        if len(rows) == len(batch.target):  # in the batch's own order nothing is copied, nor a gradient copied back
            order, selected = rows.argsort(), None
            counts, kept = counts[order], {name: mask[order] for name, mask in kept.items()}
        losses = self._subset_losses(model, batch, selected, kept)
        logs = damped_log(losses) * counts
        if self.relevance is not None:
            logs = logs * self.relevance.subset_weights(kept)
        return logs.mean()

    def _subset_losses(
        self, model: nn.Module, batch: SensorBatch, rows: Tensor | None, kept: Mapping[str, Tensor]
    ) -> Tensor:
        """Return f (n,) of samples from the sensors that they keep, in nats per pixel, and observe the relevance.

        Args:
            model: see `FunctionalEntropy`.
            batch: the step's batch.
            rows: (n,) indices of the samples; None for all.
            kept: {sensor: (n,) bool}.
        """
        ignore_index, class_balance = self.information.ignore_index, self.information.class_balance
        target = _select(batch.target, rows)
        inputs = {name: _select(x, rows) for name, x in batch.inputs.items()}
        features = _select_features(batch, rows)
        logits = subset_logits(model, inputs, features, kept, self.information.missing, batch.size)
        check_finite(logits)
        check_classes(logits, target, ignore_index)
        losses, _ = sample_cross_entropy(logits, target, ignore_index, class_balance)
        if self.relevance is not None:
            self.relevance.observe(kept, logits, target, losses)
        return losses

    def _feature_loss(self, batch: SensorBatch, scale: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss on the features of one encoder stage, and the information of each sensor there."""
        sigma, epsilon = self.information.sigma, self.information.epsilon
        valid = batch.target[batch.rows] != self.information.ignore_index
        f, information = feature_terms(batch.stage(scale), batch.row_masks, valid, sigma, epsilon, exact=False)
        names = [name for name in batch.names(self.sensors) if name in information]
        weights = dict.fromkeys(names, 1.0) if self.relevance is None else self.relevance.weights(names)
        logs = [weights[name] * damped_log(f[name]).sum() for name in names]
        zero = batch.target.new_zeros((), dtype=torch.float32)
        # As at the prediction scale: the mean over samples of the sum over the sensors of each.
        value = torch.stack(logs).sum() / len(batch.rows) if logs else zero
        check_finite(value, "features")
        return value, {name: information[name].detach() for name in names}


def _select(x: Tensor, rows: Tensor | None) -> Tensor:
    """Return the rows of a tensor (B, …), or the tensor itself for None."""
    return x if rows is None else x[rows]


def _select_features(batch: SensorBatch, rows: Tensor | None) -> dict[str, list[Tensor]] | None:
    """Return the features {sensor: stages} of the given rows, with zeros for absent samples; None if there are none."""
    if batch.features is None:
        return None
    features = {}
    for name, mask in batch.present.items():
        stages = [_select(stage, rows) for stage in batch.features[name]]
        features[name] = stages if bool(mask.all()) else [zero_absent(stage, _select(mask, rows)) for stage in stages]
    return features
