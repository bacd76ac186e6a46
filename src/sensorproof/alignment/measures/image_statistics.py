"""Statistics of one image that tell one domain from another: what drift compares."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sensorproof.alignment.registration.edges import gray
from sensorproof.data.batch import Sensor

FEATURES = ("mean", "spread", "low", "high", "edges", "fine_edges", "invalid")


def image_statistics(image: NDArray[np.float32], sensor: Sensor, row: dict[str, Any]) -> dict[str, Any]:
    """Seven numbers of an image (C, H, W), values as shares of the sensor's range; NaN where nothing is valid.

    mean, spread (standard deviation), low and high (5th and 95th percentile), edges (mean gradient magnitude),
    fine_edges (mean absolute Laplacian), invalid (share of pixels).
    """
    keys = {k: row[k] for k in ("batch", "frame_id", "site", "sequence", "sensor")}
    flat, valid = gray(image)
    if not valid.any():
        return {**keys, **dict.fromkeys(FEATURES, np.nan), "invalid": 1.0}
    low, high = sensor.range
    flat = np.where(valid, (flat - low) / (high - low), 0).astype(np.float32)
    values = flat[valid]
    inside = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    edges = fine = np.nan
    if inside.any():
        magnitude = cv2.magnitude(cv2.Sobel(flat, cv2.CV_32F, 1, 0), cv2.Sobel(flat, cv2.CV_32F, 0, 1))
        edges = float(magnitude[inside].mean())
        fine = float(np.abs(cv2.Laplacian(flat, cv2.CV_32F))[inside].mean())
    five, most = np.percentile(values, [5, 95])
    numbers = (values.mean(), values.std(), five, most, edges, fine, 1 - valid.mean())
    return {**keys, **{name: float(n) for name, n in zip(FEATURES, numbers, strict=True)}}
