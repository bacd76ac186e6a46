"""Pixel counts of one model in many cases: each broken or missing in its way, added up pass by pass."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.metadata import IGNORE, SensorInput
from sensorproof.data.preprocessing import standardize
from sensorproof.evaluation.metrics import frame_counts, iou_of_counts, mean_of_classes
from sensorproof.models.segmenter import Features
from sensorproof.models.windows import AnySegmenter

Case = tuple[str, ...]
Present = Mapping[str, Tensor]


class CaseCounts:
    """Encodes sensors once, and counts the pixels of any cases that are made of them.

    Args:
        model: on any device; it is left in evaluation mode.
        sensors: how each sensor is standardised.
    """

    def __init__(self, model: AnySegmenter, sensors: Mapping[str, SensorInput]) -> None:
        self.model, self.sensors = model.eval(), sensors
        self.device = next(model.parameters()).device
        self.counts: dict[Case, Tensor] = {}

    def encode(self, pixels: Mapping[str, NDArray[np.floating]]) -> Features:
        """Encode prepared images {sensor: (B, C, H, W)}."""
        return self.model.encode({name: self.standardize(name, images) for name, images in pixels.items()})

    def standardize(self, sensor: str, images: NDArray[np.floating]) -> Tensor:
        """Return prepared images (B, C, H, W) as the model sees them."""
        return standardize(images, self.sensors[sensor]).to(self.device)

    def add(self, case: Case, features: Features, present: Present, target: Tensor) -> None:
        """Add the pixel counts of a case; a frame without any sensor counts as none.

        Args:
            case: its name.
            features: {sensor: [feature per stage]}; nothing is counted if there is none.
            present: {sensor: (B,) or (B, h, w)}, see `Segmenter.decode`.
            target: (B, H, W).
        """
        if not features:
            return
        logits = self.model.decode(features, present, target.shape[-2:])
        scorable = torch.stack([mask.reshape(len(mask), -1).any(1) for mask in present.values()]).any(0)
        counts = (frame_counts(logits, target, IGNORE) * scorable[:, None, None]).sum(0)
        self.counts[case] = self.counts.get(case, torch.zeros_like(counts)) + counts

    def score(self, *case: str) -> float:
        """Return the mIoU of a case in points; 0 where no frame was counted."""
        return mean_of_classes(iou_of_counts(self.counts[case])) if case in self.counts else 0.0
