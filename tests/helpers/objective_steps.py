"""A model and a batch for one step of an objective."""

import torch
from torch import Tensor

from sensorproof.models import Segmenter
from sensorproof.objectives.build import NO_REGULARIZATION

SETTINGS = NO_REGULARIZATION.model_copy(update={"strength": 0.3, "sigma": 0.3, "relevance_weighting": True})
CHANNELS = {"camera": 3, "depth": 1, "lidar": 2}


def make_step() -> tuple[Segmenter, dict[str, Tensor], Tensor]:
    """Return a model in training mode, inputs and a target; the same at every call."""
    torch.manual_seed(0)
    inputs = {name: torch.randn(4, c, 32, 32) for name, c in CHANNELS.items()}
    return Segmenter(CHANNELS, 3, "tiny", 16).train(), inputs, torch.randint(0, 3, (4, 32, 32))
