"""Which samples of a training batch have which sensor."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def presence_masks(names: Iterable[str], present: Mapping[str, Tensor] | None, target: Tensor) -> dict[str, Tensor]:
    """Complete the masks of the sensors that a user gave.

    Args:
        names: the sensors of the batch.
        present: {sensor: (B,) bool}, which samples have the sensor. Sensors that it does not name are present in all
            samples; so are all sensors if it is None.
        target: any tensor of B samples; it gives the device.

    Returns:
        {sensor: (B,) bool} for every name.
    """
    everywhere = torch.ones(len(target), dtype=torch.bool, device=target.device)
    return {name: everywhere if present is None else present.get(name, everywhere) for name in names}


def zero_absent(x: Tensor, present: Tensor | None) -> Tensor:
    """Set absent samples to zero; what stands in for them may be anything, NaN included.

    Args:
        x: (B, C, H, W).
        present: (B,) bool, which samples are present; None for no sample.
    """
    if present is None:
        return torch.zeros_like(x)
    if bool(present.all()):
        return x
    return torch.where(present.reshape(-1, 1, 1, 1), x, 0.0)
