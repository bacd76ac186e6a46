"""Import NPZ or NPY arrays as a batch: one file per frame and sensor, PNG if that is lossless, otherwise NPY."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import NAME_PATTERN, check_free, write_batch
from sensorproof.data.importers.archive import Arrays, open_arrays
from sensorproof.data.importers.checks import check_arrays, check_pixels, frame_ids, frame_roles, frame_times
from sensorproof.data.importers.mapping import Mapping, SensorArray, read_mapping
from sensorproof.errors import BatchError, UsageError
from sensorproof.files import atomic_folder

_PNG_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    frames: int
    """Frames written."""
    labelled: int
    """Of these, frames with a label."""
    left_out: int
    """Frames that were not written."""


def import_arrays(source: Path, out: Path, mapping: Path | None, max_bytes: int, force: bool = False) -> Imported:
    """Write the arrays of an .npz file or of a folder of .npy files as a batch, whole or not at all.

    Args:
        source: the file or folder.
        out: the batch's folder; its name becomes the batch's name.
        mapping: the file that says which array is which sensor; see the page on data formats.
        max_bytes: larger arrays, unpacked and all together, are refused before they are read.
        force: replace a batch that is there already.

    Raises:
        UsageError: the mapping is missing or faulty, an array that it names is missing, or `out` is in use.
        BatchError: an array is broken or is not what the mapping says.
    """
    if mapping is None:
        raise UsageError("--mapping", "is missing", "give the file that says which array is which sensor")
    described = read_mapping(mapping)
    if not re.fullmatch(NAME_PATTERN, out.resolve().name):
        raise UsageError(out, "its name cannot be the name of a batch", "use letters, digits, - and _, at most 64")
    check_free(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_arrays(source, described.arrays(), out.parent, max_bytes) as arrays, atomic_folder(out) as folder:
        check_arrays(source, described, arrays)
        table, left_out = _write_frames(source, described, arrays, folder)
        write_batch(folder, described.batch_info(out.resolve().name), table)
    return Imported(len(table), int((table.label != "").sum()), left_out)


def _write_frames(source: Path, mapping: Mapping, arrays: Arrays, folder: Path) -> tuple[pd.DataFrame, int]:
    """Write every frame's files; return the rows of frames.csv and the number of frames left out."""
    ids, roles = frame_ids(source, mapping, arrays), frame_roles(source, mapping, arrays)
    times = {
        name: frame_times(source, sensor.times or mapping.times, arrays, len(ids))
        for name, sensor in mapping.sensors.items()
    }
    for name in (*mapping.sensors, "label"):
        (folder / name).mkdir()
    rows: list[dict[str, Any]] = []
    for k, (frame_id, role) in enumerate(zip(ids, roles, strict=True)):
        if role.leave_out:
            continue
        row: dict[str, Any] = {"frame_id": frame_id, "sequence": role.sequence, "site": role.site}
        row |= {"condition": role.condition, "label": "", "split": role.split}
        for name, pixels in _frame_pixels(source, mapping, arrays, k, frame_id):
            row[name], row[f"{name}_time"] = "", np.nan
            if pixels is None:
                continue
            row[name], row[f"{name}_time"] = save(folder, f"{name}/{frame_id}", pixels), times[name][k]
            if not np.isfinite(times[name][k]):
                raise BatchError(source, f"frame {frame_id!r} has no time for {name}", "give every frame a finite time")
        if not any(row[name] for name in mapping.sensors):
            continue
        if mapping.label is not None and role.labelled:
            label = _frame_label(source, mapping, arrays[mapping.label.array][k], frame_id)
            row["label"] = save(folder, f"label/{frame_id}", label)
        rows.append(row)
    if not rows:
        raise BatchError(source, "no frame is left", "make the rules of the mapping leave out fewer frames")
    table = pd.DataFrame(rows)
    for name in (*mapping.sensors, "label"):
        if not (table[name] != "").any():
            (folder / name).rmdir()
    if (table.split == "").all():
        table = table.drop(columns="split")
    return table, len(ids) - len(rows)


def _frame_pixels(
    source: Path, mapping: Mapping, arrays: Arrays, k: int, frame_id: str
) -> Iterator[tuple[str, NDArray[Any] | None]]:
    """Yield each sensor and its pixels of frame `k`, (H, W) or (H, W, C); None if no pixel is valid."""
    for name, sensor in mapping.sensors.items():
        pixels = _oriented(arrays[sensor.array][k], sensor)
        valid = check_pixels(source, sensor, pixels, frame_id)
        yield name, pixels if valid else None


def _oriented(pixels: NDArray[Any], sensor: SensorArray) -> NDArray[Any]:
    """Return one frame of an array as (H, W) or (H, W, C), contiguous, in the machine's own byte order."""
    if pixels.ndim == 3 and sensor.layout == "NCHW":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))


def _frame_label(source: Path, mapping: Mapping, label: NDArray[Any], frame_id: str) -> NDArray[np.uint8]:
    """Return one label (H, W) with the ids of the classes."""
    assert mapping.label is not None
    label = label.reshape(label.shape[:2])
    known = {c.id for c in mapping.classes} | {mapping.ignore_index}
    ids, inverse = np.unique(label, return_inverse=True)
    mapped = [mapping.label.values.get(int(i), int(i)) for i in ids]
    if unknown := [int(i) for i, m in zip(ids, mapped, strict=True) if m not in known]:
        fault = f"frame {frame_id!r} has labels {unknown[:5]} outside the classes"
        raise BatchError(source, fault, "name them under classes, or give their class under label.values")
    return np.array(mapped, np.uint8)[inverse].reshape(label.shape)


def save(folder: Path, stem: str, pixels: NDArray[Any]) -> str:
    """Write the pixels of one frame.

    Args:
        folder: the batch's folder.
        stem: the relative path without its ending.
        pixels: (H, W) or (H, W, C).

    Returns:
        The relative path: PNG for 8 and 16 bits of 1, 3 or 4 channels, NPY for anything else.
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype not in (np.uint8, np.uint16) or channels not in _PNG_CHANNELS:
        np.save(folder / f"{stem}.npy", pixels, allow_pickle=False)
        return f"{stem}.npy"
    # OpenCV, because Pillow cannot write 16-bit colour. It takes blue first.
    _, data = cv2.imencode(".png", pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]])
    (folder / f"{stem}.png").write_bytes(data.tobytes())
    return f"{stem}.png"
