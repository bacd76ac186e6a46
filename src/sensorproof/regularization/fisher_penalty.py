"""Penalties on the functional Fisher information of every sensor: those of the papers, and an exact logarithm."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sensorproof.regularization.checks import check_finite
from sensorproof.regularization.feature_terms import feature_terms
from sensorproof.regularization.information import InformationEstimator
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.model_contexts import frozen_norm_stats
from sensorproof.regularization.options import Estimator, Variant
from sensorproof.regularization.sensor_batch import SensorBatch


class FisherInformationPenalty(nn.Module):
    """Penalty that is large when a sensor's functional Fisher information I_i is small.

    - `paper`: sum_i 1 / I_i, where f is the cross-entropy of the prediction with all sensors perturbed
      (arXiv 2505.06635, eqs. 4, 6 and 7).
    - `gat`: |(1 / I_1 … 1 / I_M)|_2, where f is the cross-entropy between the clean and the perturbed prediction
      (Gat et al., NeurIPS 2020).
    - `single` with estimator `exact`: -sum_i log I_i, where f_i is the cross-entropy of sensor i's own prediction.

    At feature scales f is that of `feature_terms` in every variant.

    Args:
        variant: `paper`, `gat` or `single`.
        estimator: `exact` differentiates the model twice; `first_order` takes finite differences instead.
        sensors: the sensors to regularise; None for all.
        sigma: standard deviation of the perturbation, as a multiple of each sensor's own.
        class_balance: of f in variant `single`; see `losses.pixel_weights`.
        missing: how sensors are taken away from the model.
        ignore_index: label of pixels that do not count.
        epsilon: keeps 1 / I and log I finite for a sensor that is ignored or constant.
    """

    def __init__(
        self,
        *,
        variant: Variant,
        estimator: Estimator,
        sensors: Sequence[str] | None,
        sigma: float,
        class_balance: float,
        missing: MissingSensors,
        ignore_index: int,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.variant = variant
        self.exact = estimator == "exact"
        self.sensors = sensors
        self.information = InformationEstimator(sigma, epsilon, ignore_index, class_balance, missing)

    def forward(
        self, model: nn.Module, batch: SensorBatch, scale: str, return_information: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the penalty at one scale, a scalar, and {sensor: scalar} information, detached, which is at hand.

        Raises:
            DivergedError: an information is not finite.
        """
        del return_information
        if scale != "prediction":
            return self._feature_penalty(batch, scale)
        if self.variant == "single":
            return self._unimodal_penalty(model, batch)
        with frozen_norm_stats(model):
            joint = self.information.joint(model, batch, against_clean=self.variant == "gat", exact=self.exact)
        return self._penalty(joint, batch)

    def measure(self, model: nn.Module, batch: SensorBatch) -> dict[str, Tensor]:
        """Measure {sensor: scalar} information without a penalty; empty for `paper` and `gat`."""
        if self.variant != "single":
            return {}
        return self.information.measure(model, batch, batch.names(self.sensors))

    def extra_repr(self) -> str:
        """Return what `repr` shows of the options."""
        return f"variant={self.variant!r}, exact={self.exact}"

    def _unimodal_penalty(self, model: nn.Module, batch: SensorBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the penalty on the sensors' own predictions; each sample serves one sensor, for one pass in total."""
        names = batch.names(self.sensors)
        rows = partition_rows(batch.rows, {name: batch.present[name] for name in names})
        with frozen_norm_stats(model):
            information = {n: self.information.unimodal(model, batch, n, own, exact=True) for n, own in rows.items()}
        # A batch with fewer samples than sensors leaves sensors out; the others stand in for them.
        wanted = sum(bool(batch.present[name][batch.rows].any()) for name in names)
        value, detached = self._penalty(information, batch)
        return value * (wanted / max(1, len(information))), detached

    def _feature_penalty(self, batch: SensorBatch, scale: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the penalty on the features of one encoder stage."""
        sigma, epsilon = self.information.sigma, self.information.epsilon
        valid = batch.target[batch.rows] != self.information.ignore_index
        _, information = feature_terms(batch.stage(scale), batch.row_masks, valid, sigma, epsilon, exact=True)
        return self._penalty(information, batch)

    def _penalty(self, information: Mapping[str, Tensor], batch: SensorBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the penalty on the information of the regularised sensors, and that information, detached."""
        kept = {name: information[name] for name in batch.names(self.sensors) if name in information}
        value = information_penalty(kept, self.variant, self.information.epsilon).to(batch.target.device)
        return value, {name: scalar.detach() for name, scalar in kept.items()}


def information_penalty(information: Mapping[str, Tensor], variant: Variant, epsilon: float) -> Tensor:
    """Return what makes every sensor's information large, a scalar.

    Args:
        information: {sensor: scalar}; the penalty of none is 0.
        variant: `single`: -sum log I; `paper`: sum 1 / I; `gat`: the 2-norm of 1 / I.
        epsilon: added to I, so that a sensor that is ignored gives a finite value.

    Raises:
        DivergedError: an information is not finite.
    """
    if not information:
        return torch.zeros(())
    stacked = torch.stack([information[name] for name in sorted(information)])
    check_finite(stacked)
    if variant == "single":
        return -(stacked + epsilon).log().sum()
    inverse = 1 / (stacked + epsilon)
    return inverse.sum() if variant == "paper" else torch.linalg.vector_norm(inverse)


def partition_rows(rows: Tensor, present: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Distribute samples among the sensors they have, in turn, so that one pass over them serves all sensors.

    The samples come in random order and so do the sensors; over the steps every sensor gets every sample.

    Args:
        rows: (n,) indices of samples, in random order.
        present: {sensor: (B,) bool}, which samples have the sensor.

    Returns:
        {sensor: (n_i,) indices}; sensors that get no sample are left out.
    """
    names = [list(present)[i] for i in torch.randperm(len(present)).tolist()]
    # Samples with the fewest sensors first: those with a choice then serve the sensors that the others lack.
    rows = rows[torch.stack([present[name][rows] for name in names]).sum(0).argsort(stable=True)] if names else rows
    parts: dict[str, list[int]] = {name: [] for name in names}
    masks = {name: present[name][rows].tolist() for name in names}
    for place, row in enumerate(rows.tolist()):
        available = [name for name in names if masks[name][place]]
        if available:
            parts[min(available, key=lambda name: len(parts[name]))].append(row)
    return {name: torch.tensor(part, device=rows.device) for name, part in parts.items() if part}
