"""Random subsets of the sensors: which of its sensors each sample of a batch keeps."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from sensorproof.batch_share import draw_for_samples
from sensorproof.regularization.options import Subsets

_MANY = 30
"""With more sensors, the subsets so outnumber any batch that none is drawn twice: they need not be spread evenly."""


def sample_subsets(present: Mapping[str, Tensor], names: Sequence[str], subsets: Subsets) -> dict[str, Tensor]:
    """Draw the sensors that each sample keeps, so that a batch has every choice about equally often.

    For each sample all choices are equally likely. Independent draws would make a batch lean one way or another, and
    its gradient and normalisation with it.

    Args:
        present: {sensor: (B,) bool}, which samples have the sensor.
        names: the sensors to choose from.
        subsets: `single` keeps one of a sample's sensors, `any` a random non-empty subset. A sample that has none of
            the drawn sensors keeps one of its own at random.

    Returns:
        {sensor: (B,) bool}; all False for a sample that has none of `names`.
    """
    available = torch.stack([present[name] for name in names])
    sensors, samples, device = len(available), available.shape[1], available.device
    order = torch.randperm(sensors, device=device)[:, None]  # so that no sensor is always the first or the last
    if subsets == "single":
        drawn = _systematic_sample(samples, sensors, device) == order
    elif sensors > _MANY:
        drawn = _uniform(available, permuted=True) < 0.5
    else:
        drawn = (1 + _systematic_sample(samples, 2**sensors - 1, device)) >> order & 1 == 1
    return dict(zip(names, _keep_at_least_one(available & drawn, available, permuted=True), strict=True))


def modality_dropout(present: Mapping[str, Tensor], p: float) -> dict[str, Tensor]:
    """Drop each sensor of each sample with probability p; if all were dropped, one of those present stays.

    Args:
        present: {sensor: (B,) bool}, which samples have the sensor.
        p: from 0 to 1; with 0.5 all subsets are about equally likely.

    Returns:
        {sensor: (B,) bool}, the sensors that each sample keeps.
    """
    available = torch.stack(list(present.values()))
    kept = available & (_uniform(available) >= p)
    return dict(zip(present, _keep_at_least_one(kept, available), strict=True))


def _systematic_sample(size: int, choices: int, device: torch.device) -> Tensor:
    """Draw (size,) integers below `choices` in random order; the counts of two choices differ by at most one."""

    def draw(samples: int) -> Tensor:
        places = torch.randperm(samples).double() + torch.rand((), dtype=torch.float64)  # not every device has float64
        return (places * (choices / samples)).long().clamp_max(choices - 1)

    return draw_for_samples(draw, size, permuted=True).to(device)


def _uniform(like: Tensor, *, permuted: bool = False) -> Tensor:
    """Draw (M, B) numbers between 0 and 1, a column for every sample."""
    return draw_for_samples(
        lambda samples: torch.rand((len(like), samples), device=like.device), like.shape[1], permuted=permuted
    )


def _keep_at_least_one(kept: Tensor, available: Tensor, *, permuted: bool = False) -> Tensor:
    """Return `kept` (M, B), with one of the available sensors at random for a sample that would keep none."""
    lottery = torch.where(available, _uniform(available, permuted=permuted), -1.0)
    spared = one_hot(lottery.argmax(0), len(available)).T.bool() & available
    return torch.where(kept.any(0), kept, spared)
