"""Faster and smaller passes through a model while it trains: compiled, recomputed, another layout in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sensorproof.models import Segmenter
from sensorproof.settings import TrainSettings

_COMPILED = ("_encode_alike", "decode_coarsely")
"""The methods of a Segmenter in which all of its weights are; objectives combine them in various ways."""


@contextmanager
def accelerated(model: Segmenter, settings: TrainSettings) -> Iterator[None]:
    """Let a model train as the settings say; afterwards it is as before, with its new weights.

    Extra passes of the regulariser that leave no trace, or that are differentiated twice, run uncompiled.
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
    finally:
        if settings.compile:
            for name in _COMPILED:
                delattr(model, name)
        if settings.recompute:
            model.encoder.activation_checkpointing_disable()
        if settings.channels_last:
            model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
