"""The options of the regulariser: their values, which of them go together, and one clear error for what is wrong."""

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Real
from typing import Any, Literal, get_args

from sensorproof.errors import UsageError

Scale = Literal["prediction", "stage1", "stage2", "stage3", "stage4"]
Variant = Literal["single", "paper", "gat"]
Estimator = Literal["exact", "first_order"]
Subsets = Literal["single", "any"]
Missing = Literal["auto", "drop", "zero"]

SCALES: tuple[Scale, ...] = get_args(Scale)
VARIANTS: tuple[Variant, ...] = get_args(Variant)
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


def applicable_options(variant: str, estimator: str, scales: Collection[str]) -> frozenset[str]:
    """Return which of `subsets`, `relevance_weighting` and `class_balance` have an effect.

    All three act on the prediction scale of variant `single`. The first two also need the estimator `first_order`,
    which predicts from subsets of the sensors and thus measures what each of them tells.
    """
    if variant != "single" or "prediction" not in scales:
        return frozenset()
    if estimator == "exact":
        return frozenset({"class_balance"})
    return frozenset({"subsets", "relevance_weighting", "class_balance"})


def check_applicable(variant: str, estimator: str, scales: Collection[str], **options: Any) -> None:
    """Raise UsageError for an option that asks for something which the other options rule out.

    Args:
        variant: see `FunctionalEntropy`.
        estimator: see `FunctionalEntropy`.
        scales: see `FunctionalEntropy`.
        **options: the options of `applicable_options` as they were given. None, False, 0 and `single` ask for nothing.
    """
    applicable = applicable_options(variant, estimator, scales)
    for name, value in options.items():
        if name in applicable or value in (None, False, 0, "single"):
            continue
        chosen = f"variant {variant!r}, estimator {estimator!r} and scales {list(scales)}"
        needed = 'variant="single" and the scale "prediction"'
        if name != "class_balance":
            needed += ' with estimator="first_order"'
        raise UsageError(name, f"is {value!r}, which does not apply to {chosen}", f"leave it out, or use {needed}")


def check_names(**options: Sequence[str] | None) -> None:
    """Raise UsageError for an empty list, and for a lone string, whose letters would be taken for names."""
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


def check_choices(**choices: str) -> None:
    """Raise UsageError for an unknown value of `variant`, `estimator`, `subsets` or `missing`."""
    allowed = {"variant": VARIANTS, "estimator": ESTIMATORS, "subsets": get_args(Subsets), "missing": get_args(Missing)}
    for name, value in choices.items():
        if value not in allowed[name]:
            raise UsageError(name, f"is {value!r}", f"choose from {', '.join(allowed[name])}")


def check_ranges(
    *, sigma: float, batch_fraction: float, every_n_steps: int, epsilon: float, class_balance: float
) -> None:
    """Raise UsageError for a number that is out of its range."""
    if not 0 < sigma < math.inf:
        raise UsageError("sigma", f"is {sigma}", "give a number above 0")
    if not 0 < batch_fraction <= 1:
        raise UsageError("batch_fraction", f"is {batch_fraction}", "give a fraction above 0, up to 1")
    if not isinstance(every_n_steps, int) or every_n_steps < 1:
        raise UsageError("every_n_steps", f"is {every_n_steps}", "give a whole number, 1 or more")
    if not 0 < epsilon < math.inf:
        raise UsageError("epsilon", f"is {epsilon}", "give a number above 0")
    if not 0 <= class_balance <= 1:
        raise UsageError(
            "class_balance", f"is {class_balance}", "give 0 (weigh pixels alike) to 1 (weigh classes alike)"
        )
