"""Read one frame's files, and check them against batch.yaml and frames.csv."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorproof.data.batch import Batch
from sensorproof.data.frame_table import LABEL
from sensorproof.data.images import read_image, read_label
from sensorproof.errors import SensorproofError

OUT_OF_RANGE_SHARE = 0.01
"""Up to this share of a frame's pixels may lie outside the claimed range before it is reported."""
Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Finding:
    """One fault of one frame. A critical one makes the frame unusable, a warning is counted and reported."""

    frame_id: str
    sensor: str
    """The sensor, `label`, or empty for the frame as a whole."""
    file: str
    """Relative to the batch."""
    fault: str
    fix: str
    severity: Severity


@dataclass(frozen=True)
class Frame:
    """The decoded pixels of one frame."""

    frame_id: str
    images: dict[str, NDArray[np.float32]]
    """{sensor: (C, H, W)} of the sensors that are present and readable, NaN where invalid."""
    label: NDArray[np.uint8] | None
    """(H, W) class ids, or None if there is no label or it cannot be read."""


def load_frame(batch: Batch, index: int) -> tuple[Frame, list[Finding]]:
    """Decode one frame and list its faults.

    Args:
        batch: the batch.
        index: the row of batch.frames.

    Returns:
        The frame, without what cannot be decoded, and its faults. Faults are never raised.
    """
    row = batch.frames.iloc[index]
    images: dict[str, NDArray[np.float32]] = {}
    findings: list[Finding] = []

    def report(sensor: str, file: str, fault: str, fix: str, severity: Severity = "critical") -> None:
        findings.append(Finding(row.frame_id, sensor, file, fault, fix, severity))

    for name, sensor in batch.sensors.items():
        if not row[name]:
            continue
        try:
            pixels = read_image(batch.image_paths(name, row[name]), sensor)
        except SensorproofError as error:
            report(name, row[name], error.fault, error.fix)
            continue
        valid = np.isfinite(pixels)
        if not valid.any():
            report(name, row[name], "has no valid pixel", "leave the cell in frames.csv empty")
            continue
        low, high = sensor.range
        outside = float(np.mean(valid & ((pixels < low) | (pixels > high))))
        if outside > OUT_OF_RANGE_SHARE:
            fault = f"has {100 * outside:.1f} % of its values outside {list(sensor.range)}"
            report(name, row[name], fault, "correct `range` in batch.yaml", "warning")
        images[name] = pixels
    if not any(row[name] for name in batch.sensors):
        report("", "frames.csv", "has no sensor", "remove the row")
    label = None
    if row.label:
        try:
            label = read_label(batch.path(row.label), batch.info)
        except SensorproofError as error:
            report(LABEL, row.label, error.fault, error.fix)
    reference = images.get(batch.info.reference)
    if label is not None and reference is not None and label.shape != reference.shape[1:]:
        fault = f"is {label.shape[0]} x {label.shape[1]}, the reference {reference.shape[1]} x {reference.shape[2]}"
        report(LABEL, row.label, fault, "write labels at the reference sensor's size")
    return Frame(row.frame_id, images, label), findings
