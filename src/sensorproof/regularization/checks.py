"""Checks of what the regulariser is called with, and of what the model returns."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sensorproof.errors import DivergedError, UsageError
from sensorproof.regularization.presence import presence_masks


def check_call(
    model: Any,
    inputs: Mapping[str, Tensor],
    target: Tensor,
    present: Mapping[str, Tensor] | None,
    features: Mapping[str, Sequence[Tensor]] | None = None,
    *,
    sensors: Sequence[str] | None,
    scales: Collection[str],
    ignore_index: int,
) -> dict[str, Tensor]:
    """Check the arguments of a call; see `FunctionalEntropy.forward` for them and for the errors.

    Returns:
        {sensor: (B,) bool}, which samples have the sensor, for every sensor that at least one sample has.
    """
    if not isinstance(inputs, Mapping):
        raise UsageError("inputs", f"are a {type(inputs).__name__}", "give {name: tensor (B, C, H, W)}")
    if unknown := sorted({*(sensors or ()), *(present or {})} - set(inputs)):
        raise UsageError("sensors", f"{unknown} are unknown", f"the inputs have {sorted(inputs)}")
    _check_target(target, ignore_index)
    for name, x in inputs.items():
        if not isinstance(x, Tensor) or x.ndim < 2:
            fault = f"{name} is a {type(x).__name__}" + (f" of shape {tuple(x.shape)}" if isinstance(x, Tensor) else "")
            raise UsageError("inputs", fault, "give a tensor of shape (B, C, H, W)")
        if not x.is_floating_point():
            raise UsageError("inputs", f"{name} is {x.dtype}", "convert it to a floating type")
        if len(x) != len(target):
            fix = "give the same number of both"
            raise UsageError("inputs", f"{name} has {len(x)} samples, the target {len(target)}", fix)
    for name, mask in (present or {}).items():
        if mask.dtype != torch.bool or mask.shape != (len(target),):
            fault = f"{name} is {mask.dtype} of shape {tuple(mask.shape)}"
            raise UsageError("present", fault, f"give a bool tensor of shape ({len(target)},)")
    masks = presence_masks(sorted(inputs), present, target)
    masks = {name: mask for name, mask in masks.items() if bool(mask.any())}
    if not masks:
        raise UsageError("inputs", "no sensor is present", "give at least one")
    for name, mask in masks.items():
        _check_input(name, inputs[name], mask)
    _check_features(features, masks, len(target))
    if set(scales) != {"prediction"} and not (hasattr(model, "encode") and hasattr(model, "decode")):
        fix = "give the model encode(inputs) and decode(features), or regularise the prediction alone"
        raise UsageError("scales", f"{sorted(scales)} need encode and decode", fix)
    return masks


def _check_target(target: Tensor, ignore_index: int) -> None:
    """Raise UsageError unless the target holds classes from 0 or ignore_index."""
    if target.ndim != 3 or target.dtype != torch.int64:
        fault = f"is {target.dtype} of shape {tuple(target.shape)}"
        raise UsageError("target", fault, "give classes as torch.int64 of shape (B, H, W)")
    if bool(((target < 0) & (target != ignore_index)).any()):
        fix = f"give classes from 0, or set ignore_index, which is {ignore_index}"
        raise UsageError("target", f"has label {int(target.min())}", fix)


def _check_input(name: str, x: Tensor, mask: Tensor) -> None:
    """Raise UsageError if a sample that has the sensor holds a value that is not finite."""
    finite = torch.isfinite(x).flatten(1).all(1)
    if faulty := int((mask & ~finite).sum()):
        fix = "replace invalid pixels, such as by the mean, or say in `present` that these samples lack the sensor"
        raise UsageError("inputs", f"{name} is not finite in {faulty} of {len(x)} samples", fix)


def _check_features(features: Any, masks: Mapping[str, Tensor], samples: int) -> None:
    """Raise UsageError unless features, where given, are those of `encode` for the sensors that are present."""
    if features is None:
        return
    if not isinstance(features, Mapping) or (lacking := sorted(set(masks) - set(features))):
        fault = f"lack {lacking}" if isinstance(features, Mapping) else f"are a {type(features).__name__}"
        raise UsageError("features", fault, "give what model.encode(inputs) returns, {name: [feature per stage]}")
    if any(len(stage) != samples for name in masks for stage in features[name]):
        raise UsageError("features", f"do not have {samples} samples", "give those of the same inputs")


def check_logits(output: Any, samples: int, call: str = "model(inputs)") -> Tensor:
    """Return a model's output if it is logits (B, K, H, W).

    Args:
        output: what the model returned.
        samples: B.
        call: how the model was called, for the message.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point() and len(output) == samples:
        return output
    fix = "return logits of shape (batch, classes, height, width)"
    if isinstance(output, Mapping):
        names = [name for name, value in output.items() if isinstance(value, Tensor) and value.ndim == 4]
        fix += f"; wrap the model so that it returns its entry {names[0]!r}" if names else ""
        raise UsageError(call, f"returns a mapping with {sorted(map(str, output))}", fix)
    if isinstance(output, Tensor):
        raise UsageError(call, f"returns {output.dtype} of shape {tuple(output.shape)} for {samples} samples", fix)
    raise UsageError(call, f"returns a {type(output).__name__}", fix)


def check_classes(logits: Tensor, target: Tensor, ignore_index: int) -> None:
    """Raise UsageError if a label is beyond the classes of the logits (B, K, H, W)."""
    highest, classes = int(torch.where(target == ignore_index, -1, target).max()), logits.shape[1]
    if highest >= classes:
        fix = f"give classes 0 to {classes - 1}, or a model with more classes; ignore_index is {ignore_index}"
        raise UsageError("target", f"has label {highest}, the model has {classes} classes", fix)


def check_finite(values: Tensor, what: str = "logits") -> None:
    """Raise DivergedError if a value is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise DivergedError(what, "are not finite", "lower the learning rate or the regulariser's strength")
