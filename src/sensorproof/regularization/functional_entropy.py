"""The regulariser: one training-only loss term that makes every sensor contribute. Use it in any training loop.

Forms (docs/regularization.md has the maths and what was measured):

- `single`: f_i is the cross-entropy of the prediction from sensor i alone, the penalty -sum_i log I_i, or a random
  subset of the sensors in the place of i. Ours.
- `paper`: f is the cross-entropy of the prediction with all sensors perturbed, the penalty sum_i 1 / I_i
  (arXiv 2505.06635, eqs. 4, 6 and 7).
- `gat`: f is the cross-entropy between clean and perturbed prediction, the penalty |(1 / I_1 … 1 / I_M)|_2
  (Gat et al., NeurIPS 2020).

f is summed over the valid pixels of a sample, which makes I independent of resolution and batch size. In form `single`
a pixel of a rare class weighs more: what a part of the sensors must learn is not drowned by what is everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from sensorproof.errors import UsageError
from sensorproof.regularization.checks import (
    SCALES,
    check_call,
    check_choices,
    check_figures,
    check_finite,
    check_names,
    check_strengths,
)
from sensorproof.regularization.feature_terms import feature_terms
from sensorproof.regularization.information import InformationEstimator, penalty, zero_absent
from sensorproof.regularization.losses import damped_log, sample_cross_entropy
from sensorproof.regularization.model_contexts import frozen_norm_stats, unwrap_model
from sensorproof.regularization.sensor_relevance import SensorRelevance
from sensorproof.regularization.subset_sampling import Missing, Subsets, sample_subsets, subset_logits

Features = Mapping[str, Sequence[Tensor]]
_MEASURED = 2
"""Samples a sensor from which `return_information` takes the information: it is logged, not trained on, and noise averages out."""


@dataclass(frozen=True)
class Term:
    """What to add to the loss, and what each sensor contributes.

    `information` is {scale: {sensor: scalar}}, detached: the functional Fisher information, per valid pixel's nat.
    Empty where it was not asked for.
    """

    value: Tensor
    information: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    """{sensor: weight in [0, 1]} that measured usefulness gave it."""


class FunctionalEntropy:
    """Functional entropy regularisation.

        regularizer = FunctionalEntropy(strength=0.3)
        term = regularizer(model, inputs, target)
        loss = criterion(model(inputs), target) + term.value

    `model` maps {sensor: (B, C, H, W)} to logits (B, K, h, w). Feature scales need `encode(inputs) -> {sensor:
    [feature per stage]}` and `decode(features) -> logits` as well.

    Args:
        strength: of the term, or {scale: strength}.
        scales: `prediction` and `stage1` … `stage4`.
        form, estimator: see the module. `exact` differentiates twice. `first_order` holds |grad f|^2 constant in
            form `single`, and takes it from the difference of two passes in the others.
        subsets: form `single` looks at `single` sensors, or at `any` subset: modality dropout and the regulariser
            in one.
        sigma: standard deviation of the perturbation, as a multiple of each sensor's own.
        fraction: share of the batch on which the term is computed, at least one sample.
        every: apply at every k-th call, the weight times k.
        sensors: regularise these only; None for all.
        absent: how a sensor is taken away from a sample: `omit` leaves it out of the inputs, `zero` gives zeros,
            for models that need every input.
        weigh: scale each sensor's term by its measured usefulness. It is measured on predictions, by estimator
            `first_order` in form `single`; without these nothing is weighed.
        class_balance: how far f weighs the classes of a sample alike, 1, instead of its pixels, 0 (form `single`).
        ignore_index: label of pixels that do not count.
        epsilon: keeps 1 / I and log I finite for an ignored or constant sensor.

    Raises:
        UsageError: a strength below 0, an unknown scale, form or estimator, a figure out of range.
    """

    def __init__(
        self,
        strength: float | Mapping[str, float] = 0.3,
        scales: Sequence[str] = ("prediction",),
        *,
        variant: Literal["single", "paper", "gat"] = "single",
        estimator: Literal["exact", "first_order"] = "first_order",
        subsets: Subsets = "single",
        sigma: float = 0.3,
        batch_fraction: float = 1.0,
        every_n_steps: int = 1,
        sensors: Sequence[str] | None = None,
        missing: Missing = "drop",
        relevance_weighting: bool = True,
        class_balance: float = 0.5,
        ignore_index: int = 255,
        epsilon: float = 1e-3,
    ) -> None:
        check_names(scales=scales, sensors=sensors)
        strengths = dict(strength) if isinstance(strength, Mapping) else dict.fromkeys(scales, strength)
        check_strengths(strengths, scales)
        check_choices(variant, estimator, subsets, missing)
        check_figures(sigma, batch_fraction, every_n_steps, epsilon, class_balance)
        self.subsets: Subsets = subsets
        self.strengths = {scale: float(strengths[scale]) for scale in scales}
        self.variant, self.estimator, self.sigma, self.epsilon = variant, estimator, sigma, epsilon
        self.batch_fraction, self.every_n_steps, self.missing, self.ignore_index = (
            batch_fraction,
            every_n_steps,
            missing,
            ignore_index,
        )
        self.sensors = None if sensors is None else tuple(sensors)
        self.class_balance = class_balance if variant == "single" else 0.0
        observes = variant == "single" and estimator == "first_order" and "prediction" in scales
        self.relevance = SensorRelevance(self.class_balance) if relevance_weighting and observes else None
        self.calls = 0

    def __call__(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        *,
        present: Mapping[str, Tensor] | None = None,
        features: Features | None = None,
        return_information: bool = True,
    ) -> Term:
        """The term of one step.

        Args:
            model: in training mode; see the class.
            inputs: {sensor: (B, C, H, W)}; sensors may differ in size.
            target: (B, H, W), classes or ignore_index.
            present: {sensor: (B,) bool}, which samples have the sensor; None for all.
            features: `model.encode(inputs)`, where the plain loss has it already: form `single` then costs no
                encoding.
            measure: fill in `Term.information`; without it form `single` is cheaper.

        Returns:
            The term; its value is 0 where no pixel has a label or no sample a sensor of `sensors`.

        Raises:
            UsageError: no sensor is present, a sensor in `sensors` or `present` is unknown, tensors do not fit
                each other, or feature scales are asked of a model without `encode` and `decode`.
            SensorproofError: the logits or features are not finite.
        """
        model = unwrap_model(model)
        here = check_call(model, inputs, target, present, self.sensors, list(self.strengths), self.ignore_index)
        active = self.calls % self.every_n_steps == 0
        self.calls += 1
        rows = self._choose_rows(here, target)
        if not len(rows):
            return Term(target.new_zeros((), dtype=torch.float32))
        if not active:
            asked = return_information and "prediction" in self.strengths
            found = self._unimodal(self.probe(model), inputs, target, here, rows) if asked else {}
            return Term(target.new_zeros((), dtype=torch.float32), {"prediction": found} if found else {})
        total = torch.zeros((), dtype=torch.float32, device=target.device)
        information: dict[str, dict[str, Tensor]] = {}
        if features is None and set(self.strengths) != {"prediction"}:
            with frozen_norm_stats(model):
                features = model.encode({n: zero_absent(x, here.get(n)) for n, x in inputs.items()})  # type: ignore[operator]
        for scale, strength in self.strengths.items():
            if scale == "prediction":
                value, found = self._prediction_term(model, inputs, target, here, features, rows, return_information)
            else:
                assert features is not None
                value, found = self._feature_term(features, target, here, rows, scale)
            total = total + strength * self.every_n_steps * value
            information[scale] = found
        weights = {} if self.relevance is None else self.relevance.weights(sorted(here))
        return Term(total, {scale: found for scale, found in information.items() if found}, weights)

    def _prediction_term(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        features: Features | None,
        rows: Tensor,
        return_information: bool,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty on predictions, and the information of each sensor."""
        probe = self.probe(model)
        exact = self.estimator == "exact"
        names = self.names(here)
        if self.variant != "single":
            taken, masks = ({name: x[rows] for name, x in each.items()} for each in (inputs, here))
            with frozen_norm_stats(model):
                joint = probe.joint(taken, target[rows], masks, self.variant, exact=exact)
            kept = {name: joint[name] for name in names if name in joint}
            return penalty(kept, self.variant, self.epsilon).to(target.device), detached(kept)
        if exact:
            dealt = partition(rows, {n: here[n] for n in names})
            with frozen_norm_stats(model):
                found = {name: probe.unimodal(inputs, name, target, mine, exact=True) for name, mine in dealt.items()}
            # A batch of fewer samples than sensors leaves some out, which the others stand in for.
            share = sum(bool(here[name][rows].any()) for name in names) / max(1, len(found))
            return penalty(found, self.variant, self.epsilon).to(target.device) * share, detached(found)
        found = self._unimodal(probe, inputs, target, here, rows) if return_information else {}
        return self._log_term(model, inputs, target, here, features, rows), found

    def probe(self, model: nn.Module) -> InformationEstimator:
        return InformationEstimator(
            model, self.sigma, self.ignore_index, self.epsilon, self.missing, self.class_balance
        )

    def _unimodal(
        self,
        probe: InformationEstimator,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        rows: Tensor,
    ) -> dict[str, Tensor]:
        """The information of each sensor's own prediction, from MEASURED samples; form `single` alone has it."""
        some = {name: rows[here[name][rows]][:_MEASURED] for name in self.names(here) if self.variant == "single"}
        with frozen_norm_stats(probe.model):
            return {n: probe.unimodal(inputs, n, target, each, exact=False) for n, each in some.items() if len(each)}

    def _log_term(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        here: Mapping[str, Tensor],
        features: Features | None,
        rows: Tensor,
    ) -> Tensor:
        """-sum_i log I_i with |grad f_i|^2 held constant.

        That is the weighted log f of the sensor that a sample keeps, times the number it was drawn from, in the mean
        over samples: an unbiased estimate of the sum over a sample's own sensors.
        """
        names = self.names(here)
        if not names:
            return target.new_zeros((), dtype=torch.float32)
        able = torch.stack([here[name][rows] for name in names]).sum(0)
        rows, able = rows[able > 0], able[able > 0]
        if not len(rows):
            return target.new_zeros((), dtype=torch.float32)
        kept = sample_subsets({name: here[name][rows] for name in names}, names, self.subsets)
        whole = len(rows) == len(target)
        if whole:  # in its own order there is nothing to copy, nor a gradient to copy back
            order = rows.argsort()
            able, kept = able[order], {name: each[order] for name, each in kept.items()}

        def chosen(x: Tensor) -> Tensor:
            return x if whole else x[rows]

        taken = {name: chosen(inputs[name]) for name in inputs}
        maps = None
        if features is not None:
            full = {n for n, each in here.items() if bool(each.all())}
            maps = {
                n: [
                    chosen(stage) if n in full else zero_absent(chosen(stage), chosen(here[n])) for stage in features[n]
                ]
                for n in here
            }
        height, width = target.shape[-2:]
        logits = subset_logits(model, taken, maps, kept, self.missing, (height, width))
        check_finite(logits)
        losses, _ = sample_cross_entropy(logits, chosen(target), self.ignore_index, self.class_balance)
        logs = damped_log(losses) * able
        if self.relevance is not None:
            self.relevance.observe(kept, logits, chosen(target), losses, self.ignore_index)
            logs = logs * self.relevance.of_subsets(kept)
        return logs.mean()

    def _feature_term(
        self, features: Features, target: Tensor, here: Mapping[str, Tensor], rows: Tensor, scale: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The penalty on one encoder stage, and the information of each sensor there."""
        stage = SCALES.index(scale) - 1
        if any(stage >= len(features[name]) for name in here):
            fewest = min(len(features[name]) for name in here)
            raise UsageError("scales", f"{scale} is not there", f"the model has {fewest} stages")
        maps, masks = {name: features[name][stage][rows] for name in here}, {n: here[n][rows] for n in here}
        valid = target[rows] != self.ignore_index
        exact = self.variant != "single" or self.estimator == "exact"
        f, found = feature_terms(maps, masks, valid, self.sigma, self.epsilon, exact=exact)
        kept = {name: found[name] for name in self.names(here) if name in found}
        if exact:
            return penalty(kept, self.variant, self.epsilon).to(target.device), detached(kept)
        # The mean over samples of the sum over each one's sensors, as for the prediction.
        weights = {name: 1.0 if self.relevance is None else self.relevance.weight(name) for name in kept}
        logs = [weights[name] * damped_log(f[name]).sum() for name in kept]
        value = torch.stack(logs).sum() / len(rows) if logs else target.new_zeros((), dtype=torch.float32)
        check_finite(value, "features")
        return value, detached(kept)

    def names(self, here: Mapping[str, Tensor]) -> list[str]:
        """The sensors to regularise."""
        return sorted(here if self.sensors is None else set(self.sensors) & set(here))

    def _choose_rows(self, here: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Rows of the sub-batch: at random, of those with a sensor and a valid pixel."""
        usable = torch.stack(list(here.values())).any(0) & (target != self.ignore_index).flatten(1).any(1)
        rows = usable.nonzero()[:, 0]
        order = torch.randperm(len(rows), device=rows.device)
        return rows[order[: max(1, round(len(target) * self.batch_fraction))]]

    def state_dict(self) -> dict[str, Tensor]:
        """What must survive a cut: the number of calls and the measured usefulness."""
        state = {"calls": torch.tensor(self.calls)}
        return state if self.relevance is None else state | self.relevance.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.calls = int(state["calls"])
        if self.relevance is not None:
            self.relevance.load_state_dict({k: v for k, v in state.items() if k != "calls"})


def partition(rows: Tensor, here: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Deal the rows out to the sensors they have, in turn, so that one pass over them serves all sensors.

    Rows come in random order and sensors take turns in one, so that over the steps every sensor sees every sample.
    """
    names = [list(here)[i] for i in torch.randperm(len(here)).tolist()]
    # Samples with the fewest sensors first: those that have a choice then serve whom the others cannot.
    rows = rows[torch.stack([here[name][rows] for name in names]).sum(0).argsort(stable=True)] if names else rows
    dealt: dict[str, list[int]] = {name: [] for name in names}
    masks = {name: here[name][rows].tolist() for name in names}
    for place, row in enumerate(rows.tolist()):
        able = [name for name in names if masks[name][place]]
        if able:
            dealt[min(able, key=lambda name: len(dealt[name]))].append(row)
    return {name: torch.tensor(taken, device=rows.device) for name, taken in dealt.items() if taken}


def detached(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: each.detach() for name, each in found.items()}
