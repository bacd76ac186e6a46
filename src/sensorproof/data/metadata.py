"""What stage prepare knows of the data besides the pixels: meta.json."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, ValidationError, model_serializer

from sensorproof.data.batch import Class
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json
from sensorproof.settings.strict_model import StrictModel

IGNORE = 255
"""Value of label pixels that do not count, in prepared data and in the embedded batches.

In prepared data the other values are places in `classes`; in a batch they are class ids.
"""


StoredType = Literal["float16", "float32"]
"""Number types of prepared images."""


Standardized = Literal["dataset", "frame", "field"]
"""By which statistics a sensor's images are standardised: those of the training pixels, of the frame's own, or of the
unlabelled frames of a field that `sensorproof adapt` was given."""


class SensorInput(StrictModel):
    """One sensor as a model sees it: (value - lowest) / (highest - lowest), then standardised; invalid pixels are 0."""

    kind: str
    channels: PositiveInt
    range: tuple[float, float]
    """The lowest and the highest value, in the sensor's own units."""
    nodata: float | None
    """The value of empty pixels, in the sensor's own units."""
    mean: tuple[float, ...]
    """Mean of the valid training pixels of each channel, or of the field's, after scaling."""
    std: tuple[float, ...]
    """Standard deviation of the same; 1 for a channel that is constant or never valid."""
    stored: StoredType = "float16"
    """The type that its prepared images are rounded to, in training and in serving."""
    standardize: Standardized = "dataset"
    """With `frame`, mean and deviation above are not used."""

    @model_serializer(mode="wrap")
    def _omit_what_is_usual(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is usual: the files, and the hashes of model folders, stay those of earlier versions."""
        document: dict[str, Any] = handler(self)
        for key in ("stored", "standardize"):
            if document[key] == SensorInput.model_fields[key].default:
                del document[key]
        return document


class PreparedMeta(StrictModel):
    """The content of meta.json."""

    sensors: dict[str, SensorInput]
    reference: str
    classes: Annotated[tuple[Class, ...], Field(min_length=2)]
    size: tuple[PositiveInt, PositiveInt]
    """Height and width of all images, in pixels."""
    batches: tuple[str, ...]
    """Names of the batches, in the order of the rows."""
    frames: dict[str, int]
    """Labelled frames without a fault, by split."""

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, in the order of the label values."""
        return [described.name for described in self.classes]


def read_meta(root: Path) -> PreparedMeta:
    """Read root/meta.json.

    Raises:
        SensorproofError: the file is missing, broken, or not one that stage prepare writes.
    """
    path = root / "meta.json"
    try:
        return PreparedMeta.model_validate(read_json(path), strict=False)
    except ValidationError as error:
        raise SensorproofError(path, f"is not from stage prepare ({error})", "run `dvc repro prepare`") from error


def read_prepared_frames(root: Path) -> pd.DataFrame:
    """Read frames.csv of the prepared data: a row for each row of the arrays."""
    return pd.read_csv(root / "frames.csv", keep_default_na=False, dtype={"frame_id": str, "batch": str})


def usable_frames(frames: pd.DataFrame, quarantined: Path | None) -> pd.DataFrame:
    """Return the frames without a fault that are not in quarantine.

    Args:
        frames: see `read_prepared_frames`; the index of the rows is kept.
        quarantined: a table with the columns batch and frame_id of frames to leave out, or None.
    """
    usable = frames[frames.fault == ""]
    if quarantined is None:
        return usable
    left_out = pd.read_csv(quarantined, dtype=str, keep_default_na=False)
    keys = set(zip(left_out.batch, left_out.frame_id, strict=True))
    return usable[[(b, f) not in keys for b, f in zip(usable.batch, usable.frame_id, strict=True)]]
