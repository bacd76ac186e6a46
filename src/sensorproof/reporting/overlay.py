"""What a model sees over what a sensor saw."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sensorproof.data.metadata import SensorInput
from sensorproof.reporting.thumbnails import flat, is_color, sensor_range

_OPACITY = 0.5
"""The share of the class colour in the blend."""


def draw_overlay(
    pixels: NDArray[np.float32], sensor: SensorInput, labels: NDArray[np.uint8], colors: NDArray[np.uint8]
) -> Image.Image:
    """Blend the picture of a sensor with the colours of a label map.

    A colour camera is drawn over its range; any other sensor in grey, from the 1st to the 99th percentile of its valid
    pixels, because colours are for the classes. Pixels without a value are black.

    Args:
        pixels: (C, h, w) in the sensor's own units, NaN where invalid.
        sensor: what it is.
        labels: (H, W) class ids.
        colors: (256, 3), the RGB colour of each id.

    Returns:
        An RGB picture of H x W.
    """
    seen = _draw_sensor(pixels, sensor)
    height, width = labels.shape
    if seen.size != (width, height):
        seen = seen.resize((width, height), Image.Resampling.BILINEAR)
    return Image.blend(seen, Image.fromarray(colors[labels]), _OPACITY)


def _draw_sensor(pixels: NDArray[np.float32], sensor: SensorInput) -> Image.Image:
    """Draw (C, h, w) as an RGB picture of h x w."""
    if is_color(sensor):
        values, (low, high) = pixels[:3], sensor.range
    else:
        values = np.broadcast_to(flat(pixels, sensor), (3, *pixels.shape[1:]))
        low, high = sensor_range(values[0])
    scaled = np.nan_to_num((values - low) / (high - low), nan=0, posinf=1, neginf=0)
    return Image.fromarray((np.clip(scaled, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0).copy())
