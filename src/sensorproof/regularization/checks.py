"""What a call of the regulariser may look like, and one clear error for what it may not."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, get_args

import torch
from torch import Tensor

from sensorproof.errors import SensorproofError, UsageError
from sensorproof.regularization.losses import presence
from sensorproof.regularization.subset_sampling import Missing, Subsets

SCALES = ("prediction", "stage1", "stage2", "stage3", "stage4")
VARIANTS = ("single", "paper", "gat")
ESTIMATORS = ("exact", "first_order")


def check_names(**options: Sequence[str] | None) -> None:
    """Raise UsageError for a lone string, whose letters would be taken for names, and for a list of none."""
    for option, names in options.items():
        if isinstance(names, str):
            raise UsageError(option, f"is the string {names!r}", f"give a list: [{names!r}]")
        if names is not None and not len(names):
            raise UsageError(option, "is empty", "name at least one")


def check_strengths(strengths: Mapping[str, Any], scales: Sequence[str]) -> None:
    """Raise UsageError unless every scale is known and has a strength of 0 or more."""
    if unknown := sorted({*scales, *strengths} - set(SCALES)):
        raise UsageError("scales", f"{unknown} are unknown", f"choose from {', '.join(SCALES)}")
    if set(strengths) != set(scales):
        raise UsageError("strength", f"is given for {sorted(strengths)}", f"give one for each of {sorted(scales)}")
    for scale, strength in strengths.items():
        if not isinstance(strength, Real) or not 0 <= float(strength) < math.inf:
            raise UsageError("strength", f"is {strength!r} for {scale}", "give a number, 0 or more")


def check_choices(variant: str, estimator: str, subsets: str, missing: str) -> None:
    """Raise UsageError for a choice that there is not, or that does not go with another."""
    for name, value, allowed in (
        ("variant", variant, VARIANTS),
        ("estimator", estimator, ESTIMATORS),
        ("subsets", subsets, get_args(Subsets)),
        ("missing", missing, get_args(Missing)),
    ):
        if value not in allowed:
            raise UsageError(name, f"is {value!r}", f"choose from {', '.join(allowed)}")
    if subsets != "single" and (variant != "single" or estimator != "first_order"):
        fault = f"is {subsets!r} with form {variant} and estimator {estimator}"
        raise UsageError("subsets", fault, "take form single and estimator first_order")


def check_figures(
    sigma: float, batch_fraction: float, every_n_steps: int, epsilon: float, class_balance: float
) -> None:
    """Raise UsageError for a figure out of its range."""
    if not 0 < sigma < math.inf:
        raise UsageError("sigma", f"is {sigma}", "give a number above 0")
    if not 0 < batch_fraction <= 1:
        raise UsageError("batch_fraction", f"is {batch_fraction}", "give a share above 0, up to 1")
    if not isinstance(every_n_steps, int) or every_n_steps < 1:
        raise UsageError("every_n_steps", f"is {every_n_steps}", "give a whole number, 1 or more")
    if not 0 < epsilon < math.inf:
        raise UsageError("epsilon", f"is {epsilon}", "give a number above 0")
    if not 0 <= class_balance <= 1:
        raise UsageError("class_balance", f"is {class_balance}", "give 0 (pixels count alike) to 1 (classes do)")


def check_call(
    model: Any,
    inputs: Mapping[str, Tensor],
    target: Tensor,
    present: Mapping[str, Tensor] | None,
    sensors: Sequence[str] | None,
    scales: Sequence[str],
    ignore_index: int,
) -> dict[str, Tensor]:
    """{sensor: (B,) bool} of the sensors that any sample has; see FunctionalEntropy.__call__ for the errors."""
    if unknown := sorted({*(sensors or ()), *(present or {})} - set(inputs)):
        raise UsageError("sensors", f"{unknown} are unknown", f"the inputs have {sorted(inputs)}")
    if target.ndim != 3 or target.dtype != torch.int64:
        fault = f"is {target.dtype} of shape {tuple(target.shape)}"
        raise UsageError("target", fault, "give classes as torch.int64 of shape (B, H, W)")
    if bool(((target < 0) & (target != ignore_index)).any()):
        fault = f"has label {int(target.min())}"
        raise UsageError("target", fault, f"give classes from 0, or say ignore_index, which is {ignore_index}")
    for name, x in inputs.items():
        if not x.is_floating_point():
            raise UsageError("inputs", f"{name} is {x.dtype}", "convert it to a floating type")
        if len(x) != len(target):
            raise UsageError("inputs", f"{name} has {len(x)} samples, the target {len(target)}", "give as many of both")
    for name, mask in (present or {}).items():
        if mask.dtype != torch.bool or mask.shape != (len(target),):
            fault = f"{name} is {mask.dtype} of shape {tuple(mask.shape)}"
            raise UsageError("present", fault, f"give a bool tensor of shape ({len(target)},)")
    here = {name: mask for name, mask in presence(sorted(inputs), present, target).items() if bool(mask.any())}
    if not here:
        raise UsageError("inputs", "no sensor is present", "give at least one")
    if set(scales) != {"prediction"} and not (hasattr(model, "encode") and hasattr(model, "decode")):
        fix = "give the model encode(inputs) and decode(features), or regularise the prediction alone"
        raise UsageError("scales", f"{sorted(scales)} need encode and decode", fix)
    return here


def check_finite(values: Tensor, what: str = "logits") -> None:
    """Raise SensorproofError where a value is not finite."""
    if not bool(torch.isfinite(values).all()):
        raise SensorproofError(what, "are not finite", "lower the learning rate or the regulariser's strength")
