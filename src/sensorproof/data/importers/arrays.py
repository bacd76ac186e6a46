"""NPZ or NPY arrays -> a batch: one file a frame and sensor, PNG where that loses nothing, NPY elsewhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import check_free, write_batch
from sensorproof.data.importers.archive import Arrays, open_arrays
from sensorproof.data.importers.checks import check_arrays, check_pixels, frame_ids, frame_roles, frame_times
from sensorproof.data.importers.mapping import Mapping, SensorArray, read_mapping
from sensorproof.errors import BatchError, UsageError
from sensorproof.files import atomic_folder

_PNG_CHANNELS = (1, 3, 4)
_BATCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Imported:
    """What an import did: frames written, those of them with a label, and frames left out."""

    frames: int
    labelled: int
    left_out: int


def import_arrays(source: Path, out: Path, mapping: Path | None, max_bytes: int, force: bool = False) -> Imported:
    """Write the arrays of an .npz file or a folder of .npy files as a batch to `out`, whole or not at all.

    Args:
        mapping: the file that says what the arrays are; see docs/data-format.md.
        max_bytes: arrays that take more, unpacked, are refused before they are read.
        force: replace a batch that is there already.

    Raises:
        UsageError: the mapping is missing or faulty, an array that it names is missing, or out is taken.
        BatchError: an array is broken or is not what the mapping says.
    """
    if mapping is None:
        raise UsageError("--mapping", "is missing", "give the file that says which array is which sensor")
    plan = read_mapping(mapping)
    if not _BATCH_NAME.fullmatch(out.resolve().name):
        raise UsageError(out, "its name is no name of a batch", "use letters, digits, - and _, at most 64")
    check_free(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open_arrays(source, plan.arrays(), out.parent, max_bytes) as arrays, atomic_folder(out) as folder:
        check_arrays(source, plan, arrays)
        table, left_out = _write_frames(source, plan, arrays, folder)
        write_batch(folder, plan.batch_info(out.resolve().name).model_dump(mode="json"), table)
    return Imported(len(table), int((table.label != "").sum()), left_out)


def _write_frames(source: Path, plan: Mapping, arrays: Arrays, folder: Path) -> tuple[pd.DataFrame, int]:
    """Write every frame's files and return frames.csv, and how many frames were left out."""
    ids, roles = frame_ids(source, plan, arrays), frame_roles(source, plan, arrays)
    times = {
        name: frame_times(source, sensor.times or plan.times, arrays, len(ids)) for name, sensor in plan.sensors.items()
    }
    for name in (*plan.sensors, "label"):
        (folder / name).mkdir()
    rows: list[dict[str, Any]] = []
    for k, (identity, role) in enumerate(zip(ids, roles, strict=True)):
        if role.leave_out:
            continue
        row: dict[str, Any] = {"frame_id": identity, "sequence": role.sequence, "site": role.site}
        row |= {"condition": role.condition, "label": "", "split": role.split}
        for name, pixels in _frame_pixels(source, plan, arrays, k, identity):
            row[name], row[f"{name}_time"] = "", np.nan
            if pixels is None:
                continue
            row[name], row[f"{name}_time"] = save(folder, f"{name}/{identity}", pixels), times[name][k]
            if not np.isfinite(times[name][k]):
                raise BatchError(source, f"frame {identity!r} has no time for {name}", "give every frame a finite time")
        if not any(row[name] for name in plan.sensors):
            continue
        if plan.label is not None and role.labelled:
            label = _frame_label(source, plan, arrays[plan.label.array][k], identity)
            row["label"] = save(folder, f"label/{identity}", label)
        rows.append(row)
    if not rows:
        raise BatchError(source, "no frame is left", "let the rules of the mapping leave fewer out")
    table = pd.DataFrame(rows)
    for name in (*plan.sensors, "label"):
        if not (table[name] != "").any():
            (folder / name).rmdir()
    if (table.split == "").all():
        table = table.drop(columns="split")
    return table, len(ids) - len(rows)


def _frame_pixels(
    source: Path, plan: Mapping, arrays: Arrays, k: int, identity: str
) -> Iterator[tuple[str, NDArray[Any] | None]]:
    """Each sensor's pixels of one frame, (H, W) or (H, W, C); None where not one of them is valid."""
    for name, sensor in plan.sensors.items():
        pixels = _oriented(arrays[sensor.array][k], sensor)
        valid = check_pixels(source, sensor, pixels, identity)
        yield name, pixels if valid else None


def _oriented(pixels: NDArray[Any], sensor: SensorArray) -> NDArray[Any]:
    """One frame of an array as (H, W) or (H, W, C), contiguous, in the machine's own byte order."""
    if pixels.ndim == 3 and sensor.layout == "NCHW":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))


def _frame_label(source: Path, plan: Mapping, label: NDArray[Any], identity: str) -> NDArray[np.uint8]:
    """One label (H, W) in the ids of the classes."""
    assert plan.label is not None
    label = label.reshape(label.shape[:2])
    known = {c.id for c in plan.classes} | {plan.ignore_index}
    ids, inverse = np.unique(label, return_inverse=True)
    mapped = [plan.label.values.get(int(i), int(i)) for i in ids]
    if unknown := [int(i) for i, m in zip(ids, mapped, strict=True) if m not in known]:
        fault = f"frame {identity!r} has labels {unknown[:5]} outside the classes"
        raise BatchError(source, fault, "name them under classes, or give their class under label.values")
    return np.array(mapped, np.uint8)[inverse].reshape(label.shape)


def save(folder: Path, stem: str, pixels: NDArray[Any]) -> str:
    """Write pixels under folder and return the relative path: PNG for 8 and 16 bits, NPY for all else."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if pixels.dtype not in (np.uint8, np.uint16) or channels not in _PNG_CHANNELS:
        np.save(folder / f"{stem}.npy", pixels, allow_pickle=False)
        return f"{stem}.npy"
    # OpenCV, for Pillow writes no colours of 16 bits; it takes blue first.
    _, data = cv2.imencode(".png", pixels if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]])
    (folder / f"{stem}.png").write_bytes(data.tobytes())
    return f"{stem}.png"
