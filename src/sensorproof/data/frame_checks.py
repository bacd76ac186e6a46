"""What batch.yaml and frames.csv claim of one frame, checked against its files."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Batch
from sensorproof.data.images import read_image, read_label
from sensorproof.errors import SensorproofError

OUT_OF_RANGE_SHARE = 0.01
"""Up to this share of a frame's pixels may lie outside the claimed range before it is reported."""


@dataclass(frozen=True)
class Finding:
    """One fault of one frame. A critical one makes the frame unusable, a warning is counted and reported."""

    frame_id: str
    sensor: str
    file: str
    fault: str
    fix: str
    severity: Literal["critical", "warning"]


@dataclass(frozen=True)
class Frame:
    """Decoded pixels: images {sensor: (C, H, W) float32, NaN invalid} of the sensors present, label (H, W) or None."""

    frame_id: str
    images: dict[str, NDArray[np.float32]]
    label: NDArray[np.uint8] | None


def load_frame(batch: Batch, index: int) -> tuple[Frame, list[Finding]]:
    """Decode the frame of row `index` and say what is wrong with it. What cannot be decoded is left out of it."""
    row = batch.frames.iloc[index]
    images: dict[str, NDArray[np.float32]] = {}
    findings: list[Finding] = []

    def found(sensor: str, file: str, fault: str, fix: str, severity: Literal["critical", "warning"]) -> None:
        findings.append(Finding(row.frame_id, sensor, file, fault, fix, severity))

    for name, sensor in batch.sensors.items():
        if not row[name]:
            continue
        try:
            pixels = read_image(batch.path(row[name]), sensor)
        except SensorproofError as error:
            found(name, row[name], error.fault, error.fix, "critical")
            continue
        valid = np.isfinite(pixels)
        if not valid.any():
            found(name, row[name], "has no valid pixel", "leave the cell in frames.csv empty", "critical")
            continue
        low, high = sensor.range
        outside = float(np.mean(valid & ((pixels < low) | (pixels > high))))
        if outside > OUT_OF_RANGE_SHARE:
            fault = f"has {100 * outside:.1f} % of its values outside {list(sensor.range)}"
            found(name, row[name], fault, "correct `range` in batch.yaml", "warning")
        images[name] = pixels
    if not any(row[name] for name in batch.sensors):
        found("", "frames.csv", "has no sensor", "remove the row", "critical")
    label = None
    if row.label:
        try:
            label = read_label(batch.path(row.label), batch.info)
        except SensorproofError as error:
            found("label", row.label, error.fault, error.fix, "critical")
    reference = images.get(batch.info.reference)
    if label is not None and reference is not None and label.shape != reference.shape[1:]:
        fault = f"is {label.shape[0]} x {label.shape[1]}, the reference {reference.shape[1]} x {reference.shape[2]}"
        found("label", row.label, fault, "write labels at the reference sensor's size", "critical")
    return Frame(row.frame_id, images, label), findings
