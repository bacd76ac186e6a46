"""Small models of named sensors and training batches for them, for tests of the regulariser."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sensorproof.models import Segmenter
from sensorproof.regularization import FunctionalEntropy

CHANNELS = {"camera": 3, "lidar": 2, "thermal": 1}
CLASSES = 3


class Pixelwise(nn.Module):
    """Sum of the sensors' own logits, each pixel by itself; `forward` knows `present`."""

    def __init__(self, channels: Mapping[str, int], classes: int = CLASSES) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: nn.Conv2d(c, classes, 1) for name, c in channels.items()})

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Tensor:
        total: Tensor | float = 0.0
        for name, x in inputs.items():
            logits = self.layers[name](x).tanh() * 3
            total = total + (logits if present is None else logits * present[name].reshape(-1, 1, 1, 1))
        assert isinstance(total, Tensor)
        return total


class MeanFusion(nn.Module):
    """Mean of the sensors' own logits; accepts any subset and records which sensors each call gave it."""

    def __init__(self, channels: Mapping[str, int] = CHANNELS, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: nn.Conv2d(c, CLASSES, 1) for name, c in channels.items()})
        self.dropout = nn.Dropout(dropout)
        self.calls: list[list[str]] = []

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        self.calls.append(sorted(inputs))
        return torch.stack([self.dropout(self.layers[n](x).tanh() * 3) for n, x in inputs.items()]).mean(0)


class Concatenation(nn.Module):
    """Concatenates its inputs and therefore needs all of them; has dropout and running statistics."""

    def __init__(self, channels: Mapping[str, int] = CHANNELS) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.names = sorted(channels)
        self.layers = nn.Sequential(
            nn.Conv2d(sum(channels.values()), 8, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv2d(8, CLASSES, 1),
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.layers(torch.cat([inputs[name] for name in self.names], 1))


def make_segmenter(channels: Mapping[str, int] = CHANNELS) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(channels, CLASSES, "tiny", 16)


def make_batch(
    samples: int = 4, size: int = 16, channels: Mapping[str, int] = CHANNELS
) -> tuple[dict[str, Tensor], Tensor]:
    """Return random inputs and labels; the same at every call."""
    generator = torch.Generator().manual_seed(0)
    inputs = {name: torch.randn(samples, c, size, size, generator=generator) for name, c in channels.items()}
    return inputs, torch.randint(0, CLASSES, (samples, size, size), generator=generator)


def mask(*values: int) -> Tensor:
    """Return a bool tensor: which samples have a sensor."""
    return torch.tensor(values, dtype=torch.bool)


def make_regularizer(
    variant: str, estimator: str, scales: Sequence[str] = ("prediction",), **options: Any
) -> FunctionalEntropy:
    return FunctionalEntropy(0.5, scales, variant=variant, estimator=estimator, **options)  # type: ignore[arg-type]
