"""What stage prepare knows of the data besides the pixels: meta.json."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt, ValidationError

from sensorproof.data.batch import Class
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json
from sensorproof.settings.strict_model import StrictModel

IGNORE = 255
"""Label of pixels that do not count, in prepared data; class ids become their place in `classes`."""


class SensorInput(StrictModel):
    """One sensor as a model sees it: (value - lowest) / (highest - lowest), then standardised, invalid = 0.

    `mean` and `std` have one number per channel and are those of the valid training pixels.
    """

    kind: str
    channels: PositiveInt
    range: tuple[float, float]
    nodata: float | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


class PreparedMeta(StrictModel):
    """Sensors, classes, image size (H, W), batches in order, and frames per split (faulty ones left out)."""

    sensors: dict[str, SensorInput]
    reference: str
    classes: Annotated[tuple[Class, ...], Field(min_length=2)]
    size: tuple[PositiveInt, PositiveInt]
    batches: tuple[str, ...]
    frames: dict[str, int]

    @property
    def class_names(self) -> list[str]:
        return [c.name for c in self.classes]


def read_meta(root: Path) -> PreparedMeta:
    """Read root/meta.json."""
    try:
        return PreparedMeta.model_validate(read_json(root / "meta.json"), strict=False)
    except ValidationError as error:
        raise SensorproofError(root / "meta.json", f"is not ours ({error})", "run `dvc repro prepare`") from error
