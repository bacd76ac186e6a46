"""Other light, gain and noise for each sensor of a training sample; the functions are kornia's.

kornia computes on torch tensors of any number of channels and takes every factor as an argument, so that one seeded
draw decides. torchvision's transforms are for images of one or three channels, and need a build that fits torch's.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BRIGHTNESS, _NOISE = 0.5, 0.1
"""Largest offset, and standard deviation of the noise, of a sensor with strength 1, as a share of its range."""
_COLOURS = 3
_FACTORS = 4
"""Random numbers of a sample and sensor: contrast, brightness, saturation, noise."""


def draw_factors(rng: np.random.Generator, samples: int, sensors: int) -> NDArray[np.float64]:
    """Draw (samples, sensors, 4) numbers between -1 and 1."""
    return rng.uniform(-1, 1, (samples, sensors, _FACTORS))


def change_light(pixels: NDArray[np.floating], factors: NDArray[np.float64], strength: float, kind: str) -> Tensor:
    """Change contrast, brightness and, of a colour camera, saturation; add noise.

    Args:
        pixels: (B, C, H, W) of one sensor, its range scaled to [0, 1], NaN where invalid.
        factors: (B, 4) from `draw_factors`.
        strength: 0 changes nothing, 1 is the most.
        kind: of the sensor, as in batch.yaml.

    Returns:
        (B, C, H, W) float32, NaN where it was.
    """
    from kornia.enhance import adjust_brightness, adjust_contrast, adjust_saturation_with_gray_subtraction

    images = torch.from_numpy(np.array(pixels, np.float32))
    invalid = images.isnan()
    gaps = bool(invalid.any())
    if gaps:
        images.masked_fill_(invalid, 0.0)
    contrast, brightness, saturation, noise = torch.from_numpy(strength * factors).float().T
    images = adjust_contrast(images, 1 + contrast, clip_output=False)
    images = adjust_brightness(images, _BRIGHTNESS * brightness, clip_output=False)
    if kind == "camera" and images.shape[1] == _COLOURS:
        images = adjust_saturation_with_gray_subtraction(images, 1 + saturation)
    for image, own, seed in zip(images, noise.abs().tolist(), factors[:, -1], strict=True):
        generator = torch.Generator().manual_seed(int(abs(seed) * 2**52))
        image.add_(torch.randn(image.shape, generator=generator), alpha=_NOISE * own)
    return images.masked_fill_(invalid, torch.nan) if gaps else images


def strengths_of(wanted: Mapping[str, float], sensors: list[str]) -> dict[str, float]:
    """Return the strengths of those sensors that the data have and that are to be changed."""
    return {name: wanted[name] for name in sensors if wanted.get(name)}
