"""Statistics of one image that distinguish one domain from another, for the measurement of drift."""

from typing import Any

import cv2
import numpy as np

from sensorproof.alignment.images import Image, to_gray
from sensorproof.data.batch import Sensor

STATISTICS = ("mean", "spread", "low", "high", "edges", "fine_edges", "invalid")
_KEYS = ("batch", "frame_id", "site", "sequence", "sensor")


def image_statistics(image: Image, sensor: Sensor, row: dict[str, Any]) -> dict[str, Any]:
    """Compute seven statistics of an image; values are shares of the sensor's range.

    Args:
        image: (C, H, W), NaN where invalid.
        sensor: its range.
        row: of the table of measures, whose keys the result gets.

    Returns:
        The keys batch, frame_id, site, sequence and sensor; mean, spread (standard deviation), low and high (5th and
        95th percentile), edges (mean gradient magnitude), fine_edges (mean absolute Laplacian) and invalid (share of
        pixels). All but the last are NaN if no pixel is valid.
    """
    keys = {key: row[key] for key in _KEYS}
    flat, valid = to_gray(image)
    if not valid.any():
        return {**keys, **dict.fromkeys(STATISTICS, np.nan), "invalid": 1.0}
    low, high = sensor.range
    flat = np.where(valid, (flat - low) / (high - low), 0).astype(np.float32)
    values = flat[valid]
    inside = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    edges = fine_edges = np.nan
    if inside.any():
        magnitude = cv2.magnitude(cv2.Sobel(flat, cv2.CV_32F, 1, 0), cv2.Sobel(flat, cv2.CV_32F, 0, 1))
        edges = float(magnitude[inside].mean())
        fine_edges = float(np.abs(cv2.Laplacian(flat, cv2.CV_32F))[inside].mean())
    percentile_5, percentile_95 = np.percentile(values, [5, 95])
    numbers = (values.mean(), values.std(), percentile_5, percentile_95, edges, fine_edges, 1 - valid.mean())
    return {**keys, **{name: float(n) for name, n in zip(STATISTICS, numbers, strict=True)}}
