"""Activation checkpointing in extra passes: what `torch.utils.checkpoint` computes again must be what it computed.

A checkpointed part of a model runs a second time in the backward pass, when the model is back in its usual state. An
extra pass with frozen statistics would then be differentiated as if they were not frozen: its value would be right, its
gradient wrong, and the running statistics would absorb the extra pass.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch.utils import checkpoint as checkpointing

Context = Callable[[], AbstractContextManager[Any]]
_REENTRANT, _NON_REENTRANT = "CheckpointFunction", "_checkpoint_without_reentrant_generator"
"""What `torch.utils.checkpoint.checkpoint` calls, by `use_reentrant`. The models may hold `checkpoint` itself under any
name, so these are replaced instead of it."""


@contextmanager
def recomputed_within(context: Context) -> Iterator[None]:
    """Make every part that is checkpointed in here enter `context` again when it is recomputed."""

    def again(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function, updated=())
        def run(*args: Any, **kwargs: Any) -> Any:
            with context():
                return function(*args, **kwargs)

        return run

    reentrant, generator = getattr(checkpointing, _REENTRANT), getattr(checkpointing, _NON_REENTRANT)

    class Reentrant:
        @staticmethod
        def apply(function: Callable[..., Any], *args: Any) -> Any:
            return reentrant.apply(again(function), *args)

    def non_reentrant(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return generator(again(function), *args, **kwargs)

    with _replaced(Reentrant, non_reentrant):
        yield


@contextmanager
def without_reentrant_checkpoints() -> Iterator[None]:
    """Run parts with `use_reentrant=True` without checkpointing: they cannot be differentiated by `autograd.grad`."""

    class Reentrant:
        @staticmethod
        def apply(function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
            del preserve_rng_state
            return function(*args)

    with _replaced(Reentrant, getattr(checkpointing, _NON_REENTRANT)):
        yield


@contextmanager
def _replaced(reentrant: Any, non_reentrant: Any) -> Iterator[None]:
    before = getattr(checkpointing, _REENTRANT), getattr(checkpointing, _NON_REENTRANT)
    setattr(checkpointing, _REENTRANT, reentrant)
    setattr(checkpointing, _NON_REENTRANT, non_reentrant)
    try:
        yield
    finally:
        setattr(checkpointing, _REENTRANT, before[0])
        setattr(checkpointing, _NON_REENTRANT, before[1])
