"""Predictions from a part of the sensors, in as few passes through the model as it allows."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sensorproof.regularization.checks import check_logits
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.model_contexts import frozen_norm_stats
from sensorproof.resizing import resize


def predict_from(
    model: Any, chosen: Mapping[str, Tensor], inputs: Mapping[str, Tensor], rows: Tensor, *, zeros: bool
) -> Tensor:
    """Return the logits from some of the sensors.

    Args:
        model: maps {sensor: (n, C, H, W)} to logits.
        chosen: {sensor: (n, C, H, W)}, the sensors to predict from.
        inputs: {sensor: (B, C, H, W)}, all inputs of the model.
        rows: (n,) indices of the samples.
        zeros: give zeros for all other sensors instead of leaving them out.
    """
    if zeros:
        chosen = {n: chosen[n] if n in chosen else torch.zeros_like(x[rows]) for n, x in inputs.items()}
    return check_logits(model(chosen), len(rows))


def subset_logits(
    model: Any,
    inputs: Mapping[str, Tensor],
    features: Mapping[str, Sequence[Tensor]] | None,
    kept: Mapping[str, Tensor],
    missing: MissingSensors,
    size: tuple[int, int],
) -> Tensor:
    """Return the logits of every sample from the sensors that it keeps.

    With features and a `decode` that knows `present`, this is one decoding of the whole batch; its normalisations see
    the mixture of subsets that evaluation will bring. Otherwise, samples that keep the same sensors share a pass, in
    which running statistics are not updated: those of a lone sensor are not those of the data.

    Args:
        model: see `FunctionalEntropy`.
        inputs: {sensor: (B, C, H, W)}.
        features: {sensor: stages} of the same samples, or None.
        kept: {sensor: (B,) bool}; each sample keeps at least one.
        missing: how the other sensors are taken away.
        size: (H, W) of the logits to return.

    Returns:
        (B, K, H, W).
    """
    if features is not None and accepts_argument(model.decode, "present"):
        options: dict[str, Any] = {"size": size} if accepts_argument(model.decode, "size") else {}
        chosen = {name: features[name] for name in kept}
        logits = model.decode(chosen, present=dict(kept), **options)
        return resize(check_logits(logits, len(next(iter(kept.values()))), "model.decode(features)"), size)
    zeros = missing.as_zeros(model, inputs, kept, features)
    codes = torch.stack(list(kept.values())).T
    parts, places = [], []
    with frozen_norm_stats(model):
        for code in torch.unique(codes, dim=0):
            rows = (codes == code).all(1).nonzero()[:, 0]
            names = [name for name, keeps in zip(kept, code.tolist(), strict=True) if keeps]
            if features is not None and not zeros:
                logits = model.decode({name: [stage[rows] for stage in features[name]] for name in names})
                parts.append(check_logits(logits, len(rows), "model.decode(features)"))
            else:
                parts.append(predict_from(model, {n: inputs[n][rows] for n in names}, inputs, rows, zeros=zeros))
            places.append(rows)
    order = torch.cat(places).argsort()
    return torch.cat([resize(part, size) for part in parts])[order]


def present_logits(
    model: Any,
    inputs: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    missing: MissingSensors,
    size: tuple[int, int],
) -> Tensor:
    """Return the logits of every sample from all sensors that it has.

    A model whose `forward` knows `present` is told which samples lack a sensor. With other models, samples that have
    the same sensors share a pass.

    Args:
        model: see `FunctionalEntropy`.
        inputs: {sensor: (B, C, H, W)}.
        present: {sensor: (B,) bool} of the sensors that at least one sample has; each sample has at least one.
        missing: how absent sensors are taken away.
        size: (H, W) of the logits, if they come from several passes.
    """
    samples = len(next(iter(inputs.values())))
    if all(name in present and bool(present[name].all()) for name in inputs):
        return check_logits(model(inputs), samples)
    if accepts_argument(model.forward, "present") and not missing.as_zeros(model, inputs, present):
        return check_logits(model({name: inputs[name] for name in present}, present=present), samples)
    return subset_logits(model, inputs, None, present, missing, size)


def accepts_argument(function: Callable[..., Any], argument: str) -> bool:
    """Return whether a method of a model has a parameter, such as `present` or `size`."""
    return argument in inspect.signature(function).parameters
