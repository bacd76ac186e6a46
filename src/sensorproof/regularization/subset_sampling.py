"""Predictions from a part of the sensors: which part each sample keeps, and one pass that serves all of them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sensorproof.regularization.model_contexts import frozen_norm_stats

Kept = dict[str, Tensor]
Subsets = Literal["single", "any"]
Missing = Literal["drop", "zero"]
MANY = 30
"""Sensors whose subsets outnumber any batch so far that none is drawn twice: they need no even spread."""


def sample_subsets(here: Mapping[str, Tensor], names: Sequence[str], subsets: Subsets) -> Kept:
    """Draw the sensors that each sample keeps, so that a batch has every choice about equally often.

    For each sample all choices are equally likely; drawn for each by itself, a batch would lean one way or another, and
    its gradient and normalisation with it.

    Args:
        here: {sensor: (B,) bool}, which samples have it.
        names: the sensors to choose from.
        subsets: `single` keeps one of a sample's sensors; `any` a random non-empty subset. Where a sample has nothing
            of what was drawn, it keeps one of its own at random.

    Returns:
        {sensor: (B,) bool}; all False for a sample that has none of `names`.
    """
    mask = torch.stack([here[name] for name in names])
    count = len(mask)
    place = torch.randperm(count, device=mask.device)[:, None]  # no sensor is always told apart first, or last
    if subsets == "single":
        wanted = _systematic_sample(mask.shape[1], count, mask.device) == place
    elif count > MANY:
        wanted = torch.rand(mask.shape, device=mask.device) < 0.5
    else:
        wanted = (1 + _systematic_sample(mask.shape[1], 2**count - 1, mask.device)) >> place & 1 == 1
    return dict(zip(names, _keep_at_least_one(mask & wanted, mask), strict=True))


def _systematic_sample(size: int, choices: int, device: torch.device) -> Tensor:
    """(size,) integers below `choices`, in random order, each equally often but for one: systematic sampling."""
    places = torch.randperm(size).double() + torch.rand((), dtype=torch.float64)  # not every device has float64
    return (places * (choices / size)).long().clamp_max(choices - 1).to(device)


def modality_dropout(here: Mapping[str, Tensor], p: float) -> Kept:
    """Drop each sensor of each sample with probability p; where all would go, one of those present stays.

    Args:
        here: {sensor: (B,) bool}, which samples have it.
        p: between 0 and 1; with 0.5 all subsets are about equally likely.
    """
    mask = torch.stack(list(here.values()))
    kept = mask & (torch.rand(mask.shape, device=mask.device) >= p)
    return dict(zip(here, _keep_at_least_one(kept, mask), strict=True))


def _keep_at_least_one(kept: Tensor, mask: Tensor) -> Tensor:
    """(M, B) bool: `kept`, and where that is none of a sample's sensors, one of those in `mask` at random."""
    lottery = torch.where(mask, torch.rand(mask.shape, device=mask.device), -1.0)
    one = torch.nn.functional.one_hot(lottery.argmax(0), len(mask)).T.bool() & mask
    return torch.where(kept.any(0), kept, one)


def takes(function: Callable[..., Any], argument: str) -> bool:
    """Whether a model's method knows an argument: `present`, which samples have a sensor, or the logits' `size`."""
    return argument in inspect.signature(function).parameters


def subset_logits(
    model: Any,
    inputs: Mapping[str, Tensor],
    features: Mapping[str, Sequence[Tensor]] | None,
    kept: Mapping[str, Tensor],
    missing: Missing,
    size: tuple[int, int],
) -> Tensor:
    """Logits of every sample from the sensors it keeps.

    With features, and a decode that takes `present`, that is one decoding of the whole batch; its normalisations see
    the mixture of subsets that evaluation will bring. Otherwise samples that keep the same sensors share a pass, in
    which running statistics are left alone: those of a lone sensor are not the data's.

    Args:
        inputs: {sensor: (B, C, H, W)}.
        features: {sensor: stages} of the same samples, or None.
        kept: {sensor: (B,) bool}; each sample keeps at least one.
        absent: leave the other sensors out of a pass, or give zeros.
        size: (H, W) of the logits to return.
    """
    if features is not None and takes(model.decode, "present"):
        asked: dict[str, Any] = {"size": size} if takes(model.decode, "size") else {}
        chosen = {name: features[name] for name in kept}
        return resized(model.decode(chosen, present=dict(kept), **asked), size)
    codes = torch.stack(list(kept.values())).T
    parts, places = [], []
    with frozen_norm_stats(model):
        for code in torch.unique(codes, dim=0):
            rows = (codes == code).all(1).nonzero()[:, 0]
            names = [name for name, keeps in zip(kept, code.tolist(), strict=True) if keeps]
            if features is not None and missing == "drop":
                parts.append(model.decode({name: [stage[rows] for stage in features[name]] for name in names}))
            elif missing == "zero":
                parts.append(
                    model({n: x[rows] if n in names else torch.zeros_like(x[rows]) for n, x in inputs.items()})
                )
            else:
                parts.append(model({name: inputs[name][rows] for name in names}))
            places.append(rows)
    order = torch.cat(places).argsort()
    return torch.cat([resized(part, size) for part in parts])[order]


def resized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of (B, K, h, w) to size, where it differs."""
    if tuple(logits.shape[-2:]) == size:
        return logits
    return torch.nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
