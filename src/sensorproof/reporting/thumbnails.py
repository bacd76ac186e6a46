"""Arrays -> small PNGs inside the page. Pixels without a value are transparent; the page shows a chequered ground."""

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.reporting.palette import rgb_table

_LONGEST = 320
"""Pictures are shown smaller than this many pixels a side, so no more are kept."""
BUDGET = 2_800_000
"""Bytes for all pictures of a page, before base64 makes four of three."""
_GREY = ("thermal", "nir")
_VALUES = 255
"""Colours of a map of values; the place after them is `nothing there`, as IGNORE is in labels."""


def picture_size(meta: PreparedMeta, frames: int, predictions: int) -> tuple[int, int]:
    """Height and width at which even pictures of pure noise keep the page within BUDGET.

    Args:
        meta: sensors, classes and the size of the arrays.
        frames: example frames.
        predictions: label maps beside the ground truth in each.
    """
    height, width = meta.size
    label_bytes = math.log2(len(meta.classes) + 1) / 8
    sensors = sum(3 if is_color(sensor) else 1 for sensor in meta.sensors.values())
    worst = max(1, frames) * height * width * (sensors + (predictions + 1) * label_bytes)
    factor = min(1.0, _LONGEST / max(height, width), math.sqrt(BUDGET / worst))
    return max(1, int(height * factor)), max(1, int(width * factor))


def is_color(sensor: SensorInput) -> bool:
    """Whether a sensor's first three channels are red, green and blue."""
    return sensor.kind == "camera" and sensor.channels >= 3


def sensor_range(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """Darkest and brightest value to draw: the 1st and 99th percentile of the valid ones, over all frames drawn."""
    valid = pixels[np.isfinite(pixels)]
    if not valid.size:
        return 0.0, 1.0
    low, high = map(float, np.percentile(valid, [1, 99]))
    return (low, high) if high > low else (low, low + 1.0)


def flat(pixels: NDArray[np.float32], sensor: SensorInput) -> NDArray[np.float32]:
    """(C, H, W) -> (H, W): the first channel of a range sensor, whose second is another thing, else the mean."""
    if sensor.kind in ("depth", "lidar", "radar"):
        return pixels[0]
    return np.asarray(pixels.mean(0), dtype=np.float32)


def sensor_picture(
    pixels: NDArray[np.float32], sensor: SensorInput, limits: tuple[float, float], size: tuple[int, int]
) -> str:
    """Draw an image as a data URI: a camera in colour, thermal images in grey, all others in the map viridis.

    Args:
        pixels: (C, H, W) scaled to [0, 1] over the sensor's range, NaN where invalid.
        sensor: what it is.
        limits: darkest and brightest value; a colour camera is drawn from 0 to 1.
        size: (H, W) of the picture.
    """
    if is_color(sensor):
        valid = np.isfinite(pixels[:3]).all(0)
        shown = (np.clip(np.nan_to_num(pixels[:3]), 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
        picture = Image.fromarray(shown)
        if not valid.all():
            picture.putalpha(Image.fromarray(valid.astype(np.uint8) * 255))
        return _data_uri(shrink(picture, size))
    value = flat(pixels, sensor)
    low, high = limits
    places = (np.clip((np.nan_to_num(value) - low) / (high - low), 0, 1) * (_VALUES - 1)).round().astype(np.uint8)
    places[~np.isfinite(value)] = _VALUES
    return _indexed_picture(places, grey() if sensor.kind in _GREY else _viridis(), size)


def label_picture(label: NDArray[np.uint8], colors: Sequence[str], size: tuple[int, int]) -> str:
    """Draw a (H, W) map of class places as a data URI; IGNORE is transparent."""
    return _indexed_picture(label, rgb_table(colors), size)


def _indexed_picture(places: NDArray[np.uint8], table: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Encode (H, W) places in a (K, 3) table as a palette PNG; what is not in the table is transparent."""
    nothing = len(table)
    picture = Image.fromarray(np.minimum(places, nothing).astype(np.uint8))
    picture.putpalette(np.pad(table, ((0, 1), (0, 0))).tobytes())
    return _data_uri(shrink(picture, size), transparency=nothing if (places >= nothing).any() else None)


def shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """To (H, W) = size. Places in a palette cannot be mixed, so the nearest is taken there."""
    height, width = size
    if picture.size == (width, height):
        return picture
    method = Image.Resampling.NEAREST if picture.mode == "P" else Image.Resampling.BOX
    return picture.resize((width, height), method)


def _data_uri(picture: Image.Image, transparency: int | None = None) -> str:
    """PNG, base64."""
    file = io.BytesIO()
    options = {} if transparency is None else {"transparency": transparency}
    picture.save(file, "PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def grey() -> NDArray[np.uint8]:
    """(255, 3) from black to white."""
    return np.repeat(np.arange(_VALUES, dtype=np.uint8)[:, None], 3, axis=1)


def _viridis() -> NDArray[np.uint8]:
    """(255, 3) of the perceptual map."""
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](np.linspace(0, 1, _VALUES), bytes=True)[:, :3], dtype=np.uint8)
