"""Raw sensor arrays -> label maps, by the very steps that prepared the training data."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.batch import Sensor
from sensorproof.data.dataset import standardize
from sensorproof.data.images import mark_invalid
from sensorproof.data.metadata import SensorInput
from sensorproof.data.prepare import resize_image, scale
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.models import ModelDescription, Segmenter, load_model
from sensorproof.models.segmenter import Features
from sensorproof.training.loop import choose_device

Images = Mapping[str, NDArray]
"""One frame: {sensor: (C, h, w)} in the sensor's own units, as in a batch. A sensor that is not named is absent."""


class Predictor:
    """Segments frames of which any sensor may be missing.

    Args:
        model: in evaluation mode.
        description: of that model.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
    """

    def __init__(self, model: Segmenter, description: ModelDescription, device: str = "auto") -> None:
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.description = description
        self.ids = np.array([each.id for each in description.classes], np.uint8)

    @property
    def sensors(self) -> tuple[str, ...]:
        return self.model.sensors

    def present(self, frame: Images) -> dict[str, NDArray[np.float32]]:
        """The sensors of a frame that have a valid pixel, checked, with invalid pixels NaN.

        Raises:
            SensorproofError: a sensor is unknown, or its array has another shape or no numbers.
        """
        found = {}
        for name, pixels in frame.items():
            if name not in self.description.sensors:
                raise SensorproofError(f"sensor {name}", "is unknown to the model", f"it has {list(self.sensors)}")
            sensor = self.description.sensors[name]
            if pixels.ndim != 3 or pixels.shape[0] != sensor.channels or 0 in pixels.shape:
                fix = f"give ({sensor.channels}, height, width)"
                raise SensorproofError(f"sensor {name}", f"has the shape {pixels.shape}", fix)
            if pixels.dtype.kind not in "biuf":
                raise SensorproofError(f"sensor {name}", f"holds {pixels.dtype}", "give numbers")
            values = mark_invalid(np.array(pixels, np.float32), sensor.nodata)
            if np.isfinite(values).any():
                found[name] = values
        return found

    def predict(self, frames: Sequence[Images], size: tuple[int, int] | None = None) -> list[NDArray[np.uint8]]:
        """Segment frames in one pass.

        Args:
            frames: see Images. A sensor whose array has no valid pixel counts as absent.
            size: (H, W) of the label maps; else that of the frame's reference sensor, or, where that is absent,
                of its largest sensor.

        Returns:
            For each frame (H, W), class ids as in batch.yaml.

        Raises:
            SensorproofError: see `present`; or a frame has no sensor at all.
        """
        if not frames:
            return []
        usable = [self.present(frame) for frame in frames]
        if empty := [i for i, frame in enumerate(usable) if not frame]:
            fix = f"give one or more of {list(self.sensors)}"
            raise SensorproofError(f"frame {empty[0]}", "has no sensor with a valid pixel", fix)
        sizes = [size or self.natural_size(frame) for frame in usable]
        inputs, present = self.tensors(usable)
        with torch.inference_mode():
            features = self.model.encode(inputs)
            return [self.decode(features, present, row, each) for row, each in enumerate(sizes)]

    def decode(
        self, features: Features, present: dict[str, Tensor], row: int, size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Class ids of one frame of a pass; one at a time, for logits at full size are large."""
        own = {name: [stage[row : row + 1] for stage in stages] for name, stages in features.items()}
        logits = self.model.decode(own, {name: p[row : row + 1] for name, p in present.items()}, size)
        return np.asarray(self.ids[logits.argmax(1)[0].cpu().numpy()])

    def natural_size(self, frame: Images) -> tuple[int, int]:
        """(H, W) of the frame's reference sensor, else of its largest."""
        reference = frame.get(self.description.reference)
        chosen = reference if reference is not None else max(frame.values(), key=lambda x: x.shape[1] * x.shape[2])
        return chosen.shape[1], chosen.shape[2]

    def tensors(self, frames: Sequence[Images]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Model inputs {sensor: (B, C, H, W)} and presence {sensor: (B,) bool}, for sensors that any frame has."""
        inputs, present = {}, {}
        for name in self.sensors:
            here = [name in frame for frame in frames]
            if not any(here):
                continue
            described = self.description.sensors[name]
            # Prepared arrays are float16; the rounding is repeated so that a model sees what it was trained on.
            pixels = np.full((len(frames), described.channels, *self.description.size), np.nan, np.float16)
            sensor = _as_sensor(described)
            with np.errstate(over="ignore"):
                for row, frame in enumerate(frames):
                    if name in frame:
                        pixels[row] = resize_image(scale(frame[name], sensor), self.description.size, sensor)
            inputs[name] = standardize(pixels, described).to(self.device)
            present[name] = torch.tensor(here, device=self.device)
        return inputs, present

    def check_without(self, names: Sequence[str]) -> set[str]:
        """Check sensors that are to be left out.

        Raises:
            UsageError: one is unknown, or none would be left.
        """
        if unknown := sorted(set(names) - set(self.sensors)):
            raise UsageError("without", f"sensors {unknown} are unknown", f"the model has {list(self.sensors)}")
        if set(names) == set(self.sensors):
            raise UsageError("without", "leaves no sensor", f"keep one or more of {list(self.sensors)}")
        return set(names)


def _as_sensor(described: SensorInput) -> Sensor:
    """What a model knows of a sensor, in the form in which a batch describes it."""
    shared = described.model_dump(include={"kind", "channels", "range", "nodata"})
    return Sensor.model_validate({**shared, "max_time_offset_s": 0, "calibration": None})


def load_predictor(folder: Path, device: str = "auto") -> Predictor:
    """Load a model folder.

    Raises:
        SensorproofError: the folder does not hold a whole model, or the device is not there.
    """
    model, description = load_model(folder)
    return Predictor(model, description, device)
