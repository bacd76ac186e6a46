"""From a sensor's own pixels to what a model sees: the same steps in training, in the stages and in serving.

mark_invalid -> scale -> resize_image -> round to float16 or float32 (`prepare_image` does these three) -> standardize
label_lookup -> resize_label
"""

from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import BatchInfo
from sensorproof.data.metadata import IGNORE, SensorInput, StoredType

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
_FLAT = 1e-5
"""A frame's channel with a smaller standard deviation, as a share of the range or of its mean, is constant."""
Size = tuple[int, int]
"""Height and width in pixels."""


class ClaimedSensor(Protocol):
    """What preprocessing needs to know of a sensor: `Sensor` of a batch and `SensorInput` of a model both have it."""

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value, in the sensor's own units."""

    @property
    def nodata(self) -> float | None:
        """The value of empty pixels."""


def mark_invalid(pixels: NDArray[Any], nodata: float | None) -> NDArray[np.float32]:
    """Return a copy of (C, H, W) as float32, NaN where invalid.

    Invalid is what is not finite, what float32 cannot hold, and a pixel that is `nodata` in every channel.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        values = np.array(pixels, np.float32)
    invalid = ~np.isfinite(values)
    if nodata is not None:
        invalid |= (values == np.float32(nodata)).all(axis=0)
    values[invalid] = np.nan
    return values


def scale(pixels: NDArray[np.float32], sensor: ClaimedSensor) -> NDArray[np.float32]:
    """Map the claimed range to [0, 1].

    Args:
        pixels: (C, H, W) in the sensor's own units, NaN where invalid.
        sensor: gives the range.

    Returns:
        (C, H, W). Values beyond the range stay beyond [0, 1]; NaN where float16 cannot hold them.
    """
    low, high = sensor.range
    with np.errstate(over="ignore"):
        scaled = ((pixels - low) / (high - low)).astype(np.float32)
    scaled[np.abs(scaled) > LARGEST_FLOAT16] = np.nan
    return scaled


def resize_image(pixels: NDArray[np.float32], size: Size, sensor: ClaimedSensor) -> NDArray[np.float32]:
    """Resize (C, h, w) to (C, H, W) = (C, *size).

    By area (bilinearly where a side grows) if every pixel is valid and the sensor has no `nodata`. Otherwise by the
    nearest pixel, so that invalid pixels are not mixed into valid ones.
    """
    if pixels.shape[1:] == size:
        return pixels
    mixable = sensor.nodata is None and bool(np.isfinite(pixels).all())
    shrinks = pixels.shape[1] >= size[0] and pixels.shape[2] >= size[1]
    method = (cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR) if mixable else cv2.INTER_NEAREST_EXACT
    resized = np.empty((len(pixels), *size), np.float32)
    for channel, place in zip(pixels, resized, strict=True):
        cv2.resize(channel, size[::-1], dst=place, interpolation=method)
    return resized


def fit_image(pixels: NDArray[np.float32], sensor: ClaimedSensor, size: Size) -> NDArray[np.float32]:
    """Scale and resize (C, h, w), NaN where invalid, to (C, H, W) = (C, *size) before it is rounded."""
    return resize_image(scale(pixels, sensor), size, sensor)


def prepare_image(
    pixels: NDArray[np.float32], sensor: ClaimedSensor, size: Size, stored: StoredType = "float16"
) -> NDArray[np.floating]:
    """Return what stage prepare stores of an image.

    Serving calls this as well, so that a model sees the same rounding as in training.

    Args:
        pixels: (C, h, w) in the sensor's own units, NaN where invalid.
        sensor: gives range and nodata.
        size: (H, W) of the result.
        stored: the number type of the result; see `data.precision`.

    Returns:
        (C, H, W), the claimed range scaled to [0, 1], NaN where invalid.
    """
    return round_image(fit_image(pixels, sensor, size), stored)


def round_image(fitted: NDArray[np.float32], stored: StoredType = "float16") -> NDArray[np.floating]:
    """Round to the stored type: float16 has half the size, and near 1 its steps (0.0005) are finer than 8 bits'."""
    return fitted.astype(stored)


def standardize(pixels: NDArray[np.floating], sensor: SensorInput) -> "Tensor":
    """Standardise prepared images channel by channel, by the statistics that the sensor's description asks for.

    Args:
        pixels: (B, C, H, W), NaN where invalid.
        sensor: gives mean and standard deviation, or says that each frame's own are used.

    Returns:
        (B, C, H, W) float32. Invalid pixels are 0, the mean.
    """
    import torch  # not at the top: the processes that measure alignment use this module and never need torch

    values = torch.from_numpy(pixels).float()  # torch widens float16 faster than numpy
    if sensor.standardize == "frame":
        return standardize_frames(values, torch.isfinite(values))
    mean = torch.tensor(sensor.mean).reshape(1, -1, 1, 1)
    std = torch.tensor(sensor.std).reshape(1, -1, 1, 1)
    return (values - mean).div_(std).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)  # one copy of large images


def standardize_frames(values: "Tensor", valid: "Tensor") -> "Tensor":
    """Standardise every channel of every image by the mean and standard deviation of its own valid pixels.

    So a gain or an offset of the sensor changes nothing. A channel that is constant, or has no valid pixel, becomes 0.

    Args:
        values: (B, C, H, W) float32.
        valid: the same shape, or (B, 1, H, W), bool; what an invalid pixel holds does not matter.

    Returns:
        (B, C, H, W), 0 where invalid.
    """
    import torch

    mean, std = frame_statistics(values, valid)
    return torch.where(valid, values - mean, 0.0) / std


def frame_statistics(values: "Tensor", valid: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Return mean and standard deviation (B, C, 1, 1) of the valid pixels; infinity for a channel that is constant.

    Args:
        values: see `standardize_frames`.
        valid: see `standardize_frames`.
    """
    import torch

    valid = valid.expand_as(values)
    number = valid.sum((2, 3), keepdim=True).clamp_min(1)
    mean = torch.where(valid, values, 0.0).sum((2, 3), keepdim=True) / number
    squares = torch.where(valid, values - mean, 0.0).square().sum((2, 3), keepdim=True)
    std = (squares / number).sqrt()
    flat = std <= _FLAT * mean.abs().clamp_min(1.0)  # what rounding leaves of a constant
    return mean, std.masked_fill(flat, torch.inf)


def label_lookup(info: BatchInfo) -> NDArray[np.uint8]:
    """Return a table (256,) from the values of a label to places in `info.classes`; IGNORE for all other values."""
    lookup = np.full(256, IGNORE, np.uint8)
    for place, described in enumerate(info.classes):
        lookup[described.id] = place
    return lookup


def resize_label(label: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize (h, w) to (H, W) = size by the nearest pixel: classes cannot be mixed."""
    if label.shape == size:
        return label
    return np.asarray(cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
