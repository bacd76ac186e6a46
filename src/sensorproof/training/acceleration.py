"""Faster and smaller passes through a model while it trains: compiled, recomputed, another layout in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sensorproof.errors import SensorproofError
from sensorproof.models import Segmenter
from sensorproof.settings import TrainSettings

_COMPILED = ("_encode_alike", "decode_coarsely")
"""The methods of a Segmenter in which all of its weights are; objectives combine them in various ways."""
_NO_COMPILER = ("InvalidCxxCompiler", "Failed to find C compiler")
"""What inductor on a CPU, and Triton, say without one; their errors have no public type."""


@contextmanager
def accelerated(model: Segmenter, settings: TrainSettings) -> Iterator[None]:
    """Let a model train as the settings say; afterwards it is as before, with its new weights.

    Extra passes of the regulariser that leave no trace, or that are differentiated twice, run uncompiled.

    Raises:
        SensorproofError: the code is to be compiled, and there is no compiler.
    """
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.recompute:
        model.encoder.activation_checkpointing_enable()
    if settings.compile:
        for name in _COMPILED:
            setattr(model, name, torch.compile(getattr(model, name)))
    try:
        yield
    except RuntimeError as error:
        if not settings.compile or not any(text in str(error) for text in _NO_COMPILER):
            raise
        fix = "install g++ (or give another one in CXX and CC), or set it to false"
        raise SensorproofError("train.compile", "there is no C++ compiler, which torch.compile needs", fix) from error
    finally:
        if settings.compile:
            for name in _COMPILED:
                delattr(model, name)
        if settings.recompute:
            model.encoder.activation_checkpointing_disable()
        if settings.channels_last:
            model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
