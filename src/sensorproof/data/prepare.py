"""Batches of files -> one array per sensor at training size, and a table of frames that loses none."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import SPLITS, Batch, BatchInfo, Sensor, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.metadata import IGNORE, PreparedMeta, SensorInput
from sensorproof.data.splits import assign_splits
from sensorproof.errors import BatchError, SensorproofError
from sensorproof.files import atomic_folder, write_json
from sensorproof.settings import DataSettings

_HALF = float(np.finfo(np.float16).max)
COLUMNS = ["frame_id", "batch", "sequence", "site", "condition", "split"]


def prepare(settings: DataSettings, out: Path) -> tuple[PreparedMeta, pd.DataFrame]:
    """Read every batch of settings.raw, write `out` atomically, and return meta and the table of the frames.

    Writes frames.csv (one row per frame: COLUMNS, labelled, present_<sensor>, fault), <sensor>.npy
    (N, C, H, W) float16 scaled by the sensor's range, NaN where invalid, label.npy (N, H, W) uint8, meta.json.
    A frame with a fault keeps its row and says what the fault is; a frame without a label has no split.

    Raises:
        BatchError: a batch is faulty as a whole, or two batches differ in classes or sensors.
        SensorproofError: there is no batch, or a split has no labelled frame.
    """
    batches = read_batches(Path(settings.raw))
    info = common_info(batches)
    table = _frame_table(batches, info, settings)
    _require_splits(settings.raw, table)
    with atomic_folder(out) as folder:
        statistics = _write_arrays(batches, info, table, settings, folder)
        _require_splits(settings.raw, table)
        good = table[table.fault == ""]
        meta = PreparedMeta(
            sensors={name: _describe_sensor(sensor, statistics[name]) for name, sensor in info.sensors.items()},
            reference=info.reference,
            classes=info.classes,
            size=(settings.size[0], settings.size[1]),
            batches=tuple(batch.name for batch in batches),
            frames={split: int((good.split == split).sum()) for split in SPLITS},
        )
        table.to_csv(folder / "frames.csv", index=False, lineterminator="\n")
        write_json(folder / "meta.json", meta.model_dump(mode="json"))
    return meta, table


def _require_splits(raw: str, table: pd.DataFrame) -> None:
    """Raise SensorproofError where a split has no labelled frame without a fault."""
    good, bad = table[table.fault == ""], table[table.fault != ""]
    for split in SPLITS:
        if not (good.split == split).any():
            fix = "give labelled sequences enough for train, val and test, or a split column in frames.csv"
            why = f" ({len(bad)} frames have faults, as {bad.fault.iloc[0]})" if len(bad) else ""
            raise SensorproofError(raw, f"no labelled frame for {split}{why}", fix)


def read_batches(raw: Path) -> list[Batch]:
    """Read every folder of raw that is a batch, by name."""
    folders = sorted(p.parent for p in raw.glob("*/batch.yaml") if not p.parent.name.startswith("."))
    if not folders:
        raise SensorproofError(raw, "holds no batch", "make one: `sensorproof simulate` or `sensorproof import`")
    batches = [read_batch(folder) for folder in folders]
    for batch in batches:
        require_own_name(batch)
    return batches


def require_own_name(batch: Batch) -> None:
    """Raise BatchError where a batch and its folder have different names: the ledger knows batches by name."""
    if batch.name != batch.root.resolve().name:
        fix = "give the folder and `name` in batch.yaml the same name"
        raise BatchError(batch.root, f"calls itself {batch.name!r}", fix)


def common_info(batches: Sequence[Batch]) -> BatchInfo:
    """One BatchInfo with the sensors of all batches, which must agree on what they share.

    A batch may lack a sensor: its frames count as frames without it.
    """
    first = batches[0]
    sensors: dict[str, Sensor] = {}
    for batch in batches:
        if batch.info.classes != first.info.classes or batch.info.reference != first.info.reference:
            fix = "train on batches of one kind; keep the others in a folder of their own (data.raw)"
            raise BatchError(batch.root / "batch.yaml", f"classes or reference differ from {first.name}'s", fix)
        for name, sensor in batch.sensors.items():
            other = sensors.setdefault(name, sensor)
            if (sensor.kind, sensor.channels, sensor.range) != (other.kind, other.channels, other.range):
                fault = f"kind, channels or range of {name} differ from another batch's"
                raise BatchError(batch.root / "batch.yaml", fault, "make them equal or rename the sensor")
    return first.info.model_copy(update={"sensors": sensors})


def _frame_table(batches: Sequence[Batch], info: BatchInfo, settings: DataSettings) -> pd.DataFrame:
    """All frames of all batches, with their splits; `fault` and the rest are filled in as pixels are read."""
    parts = []
    for batch, split in zip(batches, assign_splits(batches, settings.split), strict=True):
        labelled = batch.frames.label != ""
        part = batch.frames[["frame_id", "sequence", "site", "condition"]].assign(batch=batch.name)
        part["split"], part["labelled"] = split.where(labelled, ""), labelled
        for name in sorted(info.sensors):
            part[f"present_{name}"] = batch.frames[name] != "" if name in batch.sensors else False
        parts.append(part.assign(fault=""))
    table = pd.concat(parts, ignore_index=True)
    return table[[*COLUMNS, "labelled", *(f"present_{s}" for s in sorted(info.sensors)), "fault"]]


def _write_arrays(
    batches: Sequence[Batch], info: BatchInfo, table: pd.DataFrame, settings: DataSettings, folder: Path
) -> dict[str, "_ChannelStatistics"]:
    """Fill the arrays frame by frame, so that memory does not grow with their number; note faults in the table."""
    height, width = settings.size
    n = len(table)
    images = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.float16, shape=(n, sensor.channels, height, width)
        )
        for name, sensor in info.sensors.items()
    }
    labels = np.lib.format.open_memmap(folder / "label.npy", mode="w+", dtype=np.uint8, shape=(n, height, width))
    statistics = {name: _ChannelStatistics(sensor.channels) for name, sensor in info.sensors.items()}
    places = _label_lookup(info)
    row = -1
    for batch in batches:
        for index in range(len(batch.frames)):
            row += 1
            frame, findings = load_frame(batch, index)
            faults = [f for f in findings if f.severity == "critical"]
            table.loc[row, "fault"] = "; ".join(f"{batch.root / f.file}: {f.fault}" for f in faults)
            for name, sensor in info.sensors.items():
                pixels = None if faults else frame.images.get(name)
                if pixels is None:
                    images[name][row] = np.nan
                    continue
                images[name][row] = scaled = resize_image(scale(pixels, sensor), (height, width), sensor)
                if table.split[row] == "train":
                    statistics[name].add(scaled)
            label = None if faults else frame.label
            labels[row] = IGNORE if label is None else _resize_label(places[label], (height, width))
    for array in (*images.values(), labels):
        array.flush()
    return statistics


def scale(pixels: NDArray[np.float32], sensor: Sensor) -> NDArray[np.float32]:
    """Own units -> [0, 1] over the claimed range; values beyond it are kept, unless float16 cannot hold them (NaN)."""
    low, high = sensor.range
    scaled = ((pixels - low) / (high - low)).astype(np.float32)
    scaled[np.abs(scaled) > _HALF] = np.nan
    return scaled


def resize_image(pixels: NDArray[np.float32], size: tuple[int, int], sensor: Sensor) -> NDArray[np.float32]:
    """Resize (C, h, w) to (C, H, W): by area, or nearest where pixels may be invalid and must not be mixed."""
    if pixels.shape[1:] == size:
        return pixels
    mixable = sensor.nodata is None and bool(np.isfinite(pixels).all())
    shrinks = pixels.shape[1] >= size[0] and pixels.shape[2] >= size[1]
    how = (cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR) if mixable else cv2.INTER_NEAREST_EXACT
    return np.stack([cv2.resize(channel, size[::-1], interpolation=how) for channel in pixels]).astype(np.float32)


def _resize_label(label: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Nearest-neighbour resize of (h, w) to (H, W)."""
    if label.shape == size:
        return label
    return np.asarray(cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)


def _label_lookup(info: BatchInfo) -> NDArray[np.uint8]:
    """A table from label values to places in `classes`, IGNORE for all others."""
    places = np.full(256, IGNORE, np.uint8)
    for place, each in enumerate(info.classes):
        places[each.id] = place
    return places


class _ChannelStatistics:
    """Mean and standard deviation of each channel over valid pixels, one frame at a time."""

    def __init__(self, channels: int) -> None:
        self.count, self.total, self.squares = (np.zeros(channels) for _ in range(3))

    def add(self, pixels: NDArray[np.float32]) -> None:
        """Take in (C, H, W), NaN where invalid."""
        valid = np.isfinite(pixels)
        values = np.where(valid, pixels, 0).astype(np.float64)
        self.count += valid.sum((1, 2))
        self.total += values.sum((1, 2))
        self.squares += (values**2).sum((1, 2))

    @property
    def mean(self) -> NDArray[np.float64]:
        return np.asarray(self.total / np.maximum(self.count, 1))

    @property
    def std(self) -> NDArray[np.float64]:
        """1 where a channel is constant or never valid, so that dividing by it does no harm."""
        variance = self.squares / np.maximum(self.count, 1) - self.mean**2
        return np.where(variance > 1e-10, np.sqrt(np.maximum(variance, 0)), 1.0)


def _describe_sensor(sensor: Sensor, statistics: _ChannelStatistics) -> SensorInput:
    return SensorInput(
        kind=sensor.kind,
        channels=sensor.channels,
        range=sensor.range,
        nodata=sensor.nodata,
        mean=tuple(map(float, statistics.mean)),
        std=tuple(map(float, statistics.std)),
    )
