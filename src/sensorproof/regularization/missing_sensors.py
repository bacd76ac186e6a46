"""How a sensor is taken away from a model: it is left out of the inputs, or zeros are given in its place."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sensorproof.regularization.model_contexts import without_trace
from sensorproof.regularization.options import Missing


class MissingSensors:
    """Rule for sensors that are taken away: `drop` leaves them out, `zero` gives zeros.

    `auto` tries each model once, the first time a sensor is taken away from it: one sample of zeros from each sensor
    alone, without leaving a trace. A model that raises on one of them, but not on all sensors together, needs every
    input and gets zeros from then on; a warning says so once.

    Args:
        missing: `auto`, `drop` or `zero`.
    """

    def __init__(self, missing: Missing = "auto") -> None:
        self.missing = missing
        self._needs_all: WeakKeyDictionary[nn.Module, dict[str, bool]] = WeakKeyDictionary()

    def as_zeros(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        names: Iterable[str],
        features: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> bool:
        """Return whether zeros stand in for the sensors that are taken away.

        Args:
            model: the model that is to be called.
            inputs: {sensor: (B, C, H, W)}, all of its inputs.
            names: the sensors that may be left alone.
            features: {sensor: stages}, if `model.decode` is to be called with them instead of the model.
        """
        if self.missing != "auto":
            return self.missing == "zero"
        if len(inputs) < 2:
            return False
        method = "forward" if features is None else "decode"
        answers = self._needs_all.setdefault(model, {})
        if method not in answers:
            error = _error_on_subsets(model, inputs, names, features)
            answers[method] = error is not None
            if error is not None:
                warnings.warn(
                    f"{type(model).__name__} cannot do without one of its inputs ({error!r}); FunctionalEntropy gives "
                    'it zeros for the sensors that it takes away; set missing="zero" to silence this',
                    stacklevel=2,
                )
        return answers[method]

    def __reduce__(self) -> tuple[type[Self], tuple[Missing]]:
        """Copy the rule alone: weak references cannot be copied, so a copy tries its models again."""
        return type(self), (self.missing,)


def _error_on_subsets(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    names: Iterable[str],
    features: Mapping[str, Sequence[Tensor]] | None,
) -> Exception | None:
    """Return the error of a model on one sensor alone; None if it accepts each, or fails on all of them as well."""
    call: Callable[[Any], Any]
    samples: dict[str, Any]
    if features is None:
        call, samples = model, {name: torch.zeros_like(x[:1]) for name, x in inputs.items()}
    else:
        call = model.decode  # type: ignore[assignment]
        samples = {name: [torch.zeros_like(stage[:1]) for stage in stages] for name, stages in features.items()}
    with without_trace(model, next(iter(inputs.values())).device):
        error = _error_of(call, [{name: samples[name]} for name in names])
        if error is not None and _error_of(call, [samples]) is None:
            return error
    return None


def _error_of(call: Callable[[Any], Any], arguments: Iterable[Any]) -> Exception | None:
    """Return the first error of the calls; whatever a foreign model raises counts."""
    try:
        for argument in arguments:
            call(argument)
    except Exception as error:
        return error
    return None
