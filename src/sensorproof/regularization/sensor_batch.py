"""A training batch as the losses of the regulariser see it: checked, with the samples chosen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from sensorproof.errors import UsageError
from sensorproof.regularization.options import SCALES

Features = Mapping[str, Sequence[Tensor]]
"""{sensor: [feature (B, C_j, H_j, W_j) per encoder stage]}."""


@dataclass(frozen=True)
class SensorBatch:
    """Inputs and labels of a step, and the samples on which the term is computed."""

    inputs: Mapping[str, Tensor]
    """{sensor: (B, C, H, W)}."""
    target: Tensor
    """(B, H, W), classes or the ignore index."""
    present: Mapping[str, Tensor]
    """{sensor: (B,) bool}, which samples have the sensor; of the sensors that at least one sample has."""
    rows: Tensor
    """(n,) indices of the samples on which the term is computed, in random order."""
    features: Features | None = None
    """What the model's `encode` returned for the inputs, where it is at hand."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the target."""
        height, width = self.target.shape[-2:]
        return height, width

    @property
    def row_inputs(self) -> dict[str, Tensor]:
        """{sensor: (n, C, H, W)}, the inputs of the chosen samples."""
        return {name: x[self.rows] for name, x in self.inputs.items()}

    @property
    def row_masks(self) -> dict[str, Tensor]:
        """{sensor: (n,) bool}, which of the chosen samples have the sensor."""
        return {name: mask[self.rows] for name, mask in self.present.items()}

    def names(self, sensors: Iterable[str] | None) -> list[str]:
        """Return those of the sensors that at least one sample has, sorted; of all sensors for None."""
        return sorted(self.present if sensors is None else set(sensors) & set(self.present))

    def stage(self, scale: str) -> dict[str, Tensor]:
        """Return the features {sensor: (n, C_j, H_j, W_j)} of the chosen samples at a feature scale.

        Raises:
            UsageError: the model has no such stage.
        """
        assert self.features is not None
        index = SCALES.index(scale) - 1
        fewest = min(len(self.features[name]) for name in self.present)
        if index >= fewest:
            raise UsageError("scales", f"{scale} is not there", f"the model has {fewest} stages")
        return {name: self.features[name][index][self.rows] for name in self.present}
