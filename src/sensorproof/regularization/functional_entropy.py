"""The regulariser: one loss term, in training only, that makes every sensor contribute. Use it in any training loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sensorproof.batch_share import draw_permutation
from sensorproof.regularization.checks import check_call
from sensorproof.regularization.fisher_penalty import FisherInformationPenalty
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.model_contexts import frozen_norm_stats, unwrap_model
from sensorproof.regularization.options import (
    Estimator,
    Missing,
    Subsets,
    Variant,
    applicable_options,
    check_applicable,
    check_choices,
    check_names,
    check_ranges,
    check_strengths,
)
from sensorproof.regularization.presence import zero_absent
from sensorproof.regularization.sensor_batch import Features, SensorBatch
from sensorproof.regularization.sensor_relevance import SensorRelevance
from sensorproof.regularization.subset_log_loss import SubsetLogLoss

_CLASS_BALANCE = 0.5
"""Where it applies and is not given."""


@dataclass(frozen=True)
class Term:
    """What `FunctionalEntropy` returns: a value to add to the loss, and what each sensor contributes.

    Attributes:
        value: scalar, float32 (float64 for a model in double precision).
        information: {scale: {sensor: scalar}}, detached: the functional Fisher information in nats, summed over the
            valid pixels of a sample. Empty if it was not asked for.
        weights: {sensor: weight from 0 to 1} by measured relevance; empty without relevance weighting.

    Examples:
        >>> import torch
        >>> from sensorproof.regularization import Term
        >>> term = Term(torch.tensor(0.5), {"prediction": {"camera": torch.tensor(2.0)}}, {"camera": 1.0})
        >>> loss = torch.tensor(1.0) + term.value
        >>> {name: float(value) for name, value in term.information["prediction"].items()}
        {'camera': 2.0}
    """

    value: Tensor
    information: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)


class FunctionalEntropy(nn.Module):
    """Functional entropy regularisation (arXiv 2505.06635) of any model.

    The term has no parameters. Its state, the number of calls and the measured relevance of the sensors, is part of
    `state_dict`. f is summed over the valid pixels of a sample, so a strength carries over to other resolutions and
    batch sizes. docs/explanation/method.md has the maths.

    `subsets` and `relevance_weighting` apply to variant `single` with estimator `first_order`, `class_balance` to
    variant `single`; all three need the scale `prediction`. Where an option does not apply, it is refused.

    Args:
        strength: weight of the term, or {scale: weight}.
        scales: where the term applies: `prediction`, and `stage1` to `stage4` for the features of an encoder.
        variant: `single`: -sum_i log I_i, where f is the cross-entropy of sensor i's own prediction. `paper`:
            sum_i 1 / I_i, where f is the cross-entropy of the prediction with all sensors perturbed (arXiv
            2505.06635, eqs. 4, 6 and 7). `gat`: the 2-norm of 1 / I_i, where f is the cross-entropy between the clean
            and the perturbed prediction (Gat et al., NeurIPS 2020).
        estimator: `exact` differentiates the model twice. `first_order` does not: it holds |grad f|^2 constant in
            variant `single`, and takes finite differences of two passes in the others.
        subsets: `single` regularises single sensors, `any` random subsets of them, which joins the regulariser and
            modality dropout.
        sigma: standard deviation of the perturbation, as a multiple of each sensor's own.
        batch_fraction: share of the samples on which the term is computed; at least one sample.
        every_n_steps: apply the term at every n-th call, its weight times n.
        sensors: the sensors to regularise; None for all.
        missing: how a sensor is taken away from the model. `drop` leaves it out of the inputs; `zero` gives zeros,
            for models that need every input. `auto` tries on one sample whether the model accepts single sensors,
            and gives zeros, with a warning, if it does not.
        relevance_weighting: scale each sensor's term by its measured relevance, so that noise is not forced to
            contribute. None for True where it applies.
        class_balance: 0 weighs the pixels of a sample alike in f, 1 its classes. None for 0.5 where it applies.
        ignore_index: label of pixels that do not count.
        epsilon: keeps 1 / I and log I finite for a sensor that is ignored or constant.

    Raises:
        UsageError: a value is unknown or out of range, or an option does not apply. It is also a ValueError.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from sensorproof import FunctionalEntropy
        >>> class MeanFusion(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.heads = nn.ModuleDict({"camera": nn.Conv2d(3, 5, 1), "lidar": nn.Conv2d(1, 5, 1)})
        ...
        ...     def forward(self, inputs):
        ...         return torch.stack([self.heads[name](x) for name, x in inputs.items()]).mean(0)
        >>> model, regularizer = MeanFusion(), FunctionalEntropy(strength=0.1)
        >>> inputs = {"camera": torch.rand(4, 3, 8, 8), "lidar": torch.rand(4, 1, 8, 8)}
        >>> target = torch.randint(0, 5, (4, 8, 8))
        >>> term = regularizer(model, inputs, target)
        >>> loss = nn.functional.cross_entropy(model(inputs), target) + term.value
        >>> loss.backward()
        >>> sorted(term.information["prediction"])
        ['camera', 'lidar']
    """

    __call__: Callable[..., Term]

    def __init__(
        self,
        strength: float | Mapping[str, float] = 0.3,
        scales: Sequence[str] = ("prediction",),
        *,
        variant: Variant = "single",
        estimator: Estimator = "first_order",
        subsets: Subsets = "single",
        sigma: float = 0.3,
        batch_fraction: float = 1.0,
        every_n_steps: int = 1,
        sensors: Sequence[str] | None = None,
        missing: Missing = "auto",
        relevance_weighting: bool | None = None,
        class_balance: float | None = None,
        ignore_index: int = 255,
        epsilon: float = 1e-3,
    ) -> None:
        super().__init__()
        check_names(scales=scales, sensors=sensors)
        strengths = dict(strength) if isinstance(strength, Mapping) else dict.fromkeys(scales, strength)
        check_strengths(strengths, scales)
        check_choices(variant=variant, estimator=estimator, subsets=subsets, missing=missing)
        given = {"subsets": subsets, "relevance_weighting": relevance_weighting, "class_balance": class_balance}
        check_applicable(variant, estimator, scales, **given)
        applicable = applicable_options(variant, estimator, scales)
        if class_balance is None:
            class_balance = _CLASS_BALANCE if "class_balance" in applicable else 0.0
        if relevance_weighting is None:
            relevance_weighting = "relevance_weighting" in applicable
        check_ranges(
            sigma=sigma,
            batch_fraction=batch_fraction,
            every_n_steps=every_n_steps,
            epsilon=epsilon,
            class_balance=class_balance,
        )
        self.strengths = {scale: float(strengths[scale]) for scale in scales}
        self.sensors = None if sensors is None else tuple(sensors)
        self.batch_fraction, self.every_n_steps, self.ignore_index = batch_fraction, every_n_steps, ignore_index
        self.calls = 0
        shared: dict[str, Any] = {
            "sensors": self.sensors,
            "sigma": sigma,
            "class_balance": class_balance,
            "missing": MissingSensors(missing),
            "ignore_index": ignore_index,
            "epsilon": epsilon,
        }
        self.loss: SubsetLogLoss | FisherInformationPenalty
        if variant == "single" and estimator == "first_order":
            self.loss = SubsetLogLoss(subsets=subsets, relevance_weighting=relevance_weighting, **shared)
        else:
            self.loss = FisherInformationPenalty(variant=variant, estimator=estimator, **shared)

    @property
    def relevance(self) -> SensorRelevance | None:
        """The measured relevance of the sensors; None without relevance weighting."""
        return self.loss.relevance if isinstance(self.loss, SubsetLogLoss) else None

    def forward(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        *,
        present: Mapping[str, Tensor] | None = None,
        features: Features | None = None,
        return_information: bool = True,
    ) -> Term:
        """Return the term of one training step.

        Args:
            model: maps {sensor: (B, C, H, W)} to logits (B, K, h, w). Feature scales also need
                `encode(inputs) -> {sensor: [feature per stage]}` and `decode(features) -> logits`.
            inputs: {sensor: (B, C, H, W)}, floating point; sensors may differ in size.
            target: (B, H, W), int64, classes or ignore_index.
            present: {sensor: (B,) bool}, which samples have the sensor; None for all.
            features: `model.encode(inputs)`, if the plain loss has computed it: the term then costs no encoding.
            return_information: fill in `Term.information`, which costs extra passes in variant `single`.

        Returns:
            The term. Its value is 0 if no pixel has a label, or no sample a sensor to regularise.

        Raises:
            UsageError: no sensor is present, `sensors` or `present` name an unknown one, tensors do not fit each
                other, an input is not finite, a label is beyond the classes, the model returns anything but logits,
                or a feature scale needs methods or stages that the model lacks. It is also a ValueError.
            DivergedError: the logits or the features are not finite.
        """
        model = unwrap_model(model)
        masks = check_call(
            model,
            inputs,
            target,
            present,
            features,
            sensors=self.sensors,
            scales=self.strengths,
            ignore_index=self.ignore_index,
        )
        active = self.calls % self.every_n_steps == 0
        self.calls += 1
        batch = SensorBatch(inputs, target, masks, self._choose_rows(masks, target), features)
        total = torch.zeros((), dtype=torch.float32, device=target.device)
        if not len(batch.rows):
            return Term(total)
        if not active:
            measured = return_information and "prediction" in self.strengths
            return Term(total, _without_empty({"prediction": self.loss.measure(model, batch) if measured else {}}))
        if features is None and set(self.strengths) != {"prediction"}:
            batch = _encoded(model, batch)
        information: dict[str, dict[str, Tensor]] = {}
        for scale, strength in self.strengths.items():
            value, information[scale] = self.loss(model, batch, scale, return_information)
            total = total + strength * self.every_n_steps * value
        weights = {} if self.relevance is None else self.relevance.weights(sorted(masks))
        return Term(total, _without_empty(information), weights)

    def _choose_rows(self, present: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Draw the samples on which the term is computed, from those with a sensor and a valid pixel."""
        usable = torch.stack(list(present.values())).any(0) & (target != self.ignore_index).flatten(1).any(1)
        rows = usable.nonzero()[:, 0]
        order = draw_permutation(len(rows), rows.device)
        return rows[order[: max(1, round(len(target) * self.batch_fraction))]]

    def extra_repr(self) -> str:
        """Return what `repr` shows of the options."""
        return f"strength={self.strengths}, batch_fraction={self.batch_fraction}, every_n_steps={self.every_n_steps}"

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Add the number of calls and the measured relevance to a state dict."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        state = {"calls": torch.tensor(self.calls)} | ({} if self.relevance is None else self.relevance.state_dict())
        destination.update({prefix + key: value for key, value in state.items()})

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Restore what `_save_to_state_dict` added."""
        del local_metadata, error_msgs
        state = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        if strict:
            known = SensorRelevance.KEYS
            unexpected_keys += [prefix + key for key in state if key != "calls" and not key.startswith(known)]
        if "calls" not in state:
            missing_keys.append(prefix + "calls")
            return
        self.calls = int(state["calls"])
        if self.relevance is not None:
            self.relevance.load_state_dict(state)


def _encoded(model: Any, batch: SensorBatch) -> SensorBatch:
    """Return the batch with the features of its inputs, those of absent samples computed from zeros."""
    inputs = {name: zero_absent(x, batch.present.get(name)) for name, x in batch.inputs.items()}
    with frozen_norm_stats(model):
        return SensorBatch(batch.inputs, batch.target, batch.present, batch.rows, model.encode(inputs))


def _without_empty(information: Mapping[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Leave out scales without a measurement."""
    return {scale: values for scale, values in information.items() if values}
