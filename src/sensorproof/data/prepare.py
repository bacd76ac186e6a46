"""Stage prepare: one array per sensor at training size from the files of all batches, and a table of all frames."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.data.batch import Batch, BatchInfo, Sensor, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.frame_table import SPLITS
from sensorproof.data.metadata import IGNORE, PreparedMeta, SensorInput, StoredType
from sensorproof.data.precision import StoredPrecision, choose_precision
from sensorproof.data.preprocessing import fit_image, label_lookup, resize_label, round_image
from sensorproof.data.source_files import check_source
from sensorproof.data.split_checks import check_classes, check_copies, check_sensors, check_splits
from sensorproof.data.splits import assign_splits, describe_changes
from sensorproof.errors import BatchError, SensorproofError
from sensorproof.files import atomic_folder, write_json
from sensorproof.settings import DataSettings

_COLUMNS = ["frame_id", "batch", "sequence", "site", "condition", "split"]


def prepare(settings: DataSettings, out: Path) -> tuple[PreparedMeta, pd.DataFrame, list[str]]:
    """Read every batch and write the prepared data, whole or not at all.

    Writes frames.csv (one row per frame: frame_id, batch, sequence, site, condition, split, labelled,
    present_<sensor>, fault, and the tags of the batches), <sensor>.npy (N, C, H, W) float16 or float32 as in
    prepare_image, label.npy (N, H, W) uint8 with places in `classes` or IGNORE, and meta.json. A frame with a fault
    keeps its row, with the fault in it. A frame without a label has no split.

    Args:
        settings: where the batches are, the size of the images, how to split.
        out: the folder to write or replace.

    Returns:
        The content of meta.json and of frames.csv, and a line for each thing that is dubious: a range much wider
        than its values, a class that cannot be learnt, a frame that is there twice.

    Raises:
        BatchError: a batch is faulty as a whole, or two batches differ in classes or sensors.
        SensorproofError: there is no batch, a split has no labelled frame or lacks a sensor, or the training labels
            show fewer than two classes, or a frame is in two splits under two names.
    """
    batches = read_batches(Path(settings.raw))
    info = common_info(batches)
    splits = assign_splits(batches, settings.split)
    table = _frame_table(batches, info, splits)
    sensors = sorted(info.sensors)
    check_splits(settings.raw, table)
    check_sensors(settings.raw, table, sensors)
    precision = choose_precision(batches, info)
    with atomic_folder(out) as folder:
        size = settings.size[0], settings.size[1]
        contents = _write_arrays(batches, info, table, size, folder, precision)
        check_splits(settings.raw, table)
        check_sensors(settings.raw, table, sensors)
        warnings = describe_changes(batches, splits)
        warnings += [each.warning for each in precision.values() if each.warning]
        warnings += check_classes(settings.raw, info, contents.label_counts)
        warnings += check_copies(settings.raw, table, contents.hashes)
        good = table[table.fault == ""]
        meta = PreparedMeta(
            sensors={
                name: _describe_sensor(sensor, contents.statistics[name], precision[name].stored)
                for name, sensor in info.sensors.items()
            },
            reference=info.reference,
            classes=info.classes,
            size=size,
            batches=tuple(batch.name for batch in batches),
            frames={split: int((good.split == split).sum()) for split in SPLITS},
        )
        table.to_csv(folder / "frames.csv", index=False, lineterminator="\n")
        write_json(folder / "meta.json", meta.model_dump(mode="json"))
    return meta, table, warnings


def read_batches(raw: Path) -> list[Batch]:
    """Read every folder of `raw` that is a batch, in the order of their names.

    Raises:
        BatchError: a batch is faulty, or its name differs from its folder's.
        SensorproofError: there is none.
    """
    folders = sorted(path.parent for path in raw.glob("*/batch.yaml") if not path.parent.name.startswith("."))
    if not folders:
        raise SensorproofError(raw, "holds no batch", "make one: `sensorproof simulate` or `sensorproof import`")
    batches = [read_batch(folder) for folder in folders]
    for batch in batches:
        require_own_name(batch)
        check_source(batch)
    return batches


def require_own_name(batch: Batch) -> None:
    """Check that a batch and its folder have the same name, because the ledger knows batches by name.

    Raises:
        BatchError: the names differ.
    """
    if batch.name != batch.root.resolve().name:
        fix = "give the folder and `name` in batch.yaml the same name"
        raise BatchError(batch.root, f"calls itself {batch.name!r}", fix)


def common_info(batches: Sequence[Batch]) -> BatchInfo:
    """Return one BatchInfo with the sensors of all batches.

    A batch may lack a sensor: its frames then count as frames without it.

    Raises:
        BatchError: two batches differ in classes, reference, or kind, channels or range of a sensor.
    """
    first = batches[0]
    sensors: dict[str, Sensor] = {}
    for batch in batches:
        where = batch.root / "batch.yaml"
        if batch.info.classes != first.info.classes or batch.info.reference != first.info.reference:
            fix = "train on batches of one kind; keep the others in a folder of their own (data.raw)"
            raise BatchError(where, f"classes or reference differ from {first.name}'s", fix)
        for name, sensor in batch.sensors.items():
            known = sensors.setdefault(name, sensor)
            if (sensor.kind, sensor.channels, sensor.range) != (known.kind, known.channels, known.range):
                fault = f"kind, channels or range of {name} differ from another batch's"
                raise BatchError(where, fault, "make them equal or rename the sensor")
    return first.info.model_copy(update={"sensors": sensors})


def _frame_table(batches: Sequence[Batch], info: BatchInfo, splits: Sequence[pd.Series]) -> pd.DataFrame:
    """Return the rows of frames.csv for all batches, with their splits and with no fault yet."""
    parts = []
    tags = list(dict.fromkeys(tag for batch in batches for tag in batch.info.tags))
    for batch, split in zip(batches, splits, strict=True):
        labelled = batch.frames.label != ""
        part = batch.frames[["frame_id", "sequence", "site", "condition"]].assign(batch=batch.name)
        part = part.assign(**{tag: batch.frames[tag] if tag in batch.info.tags else "" for tag in tags})
        part["split"], part["labelled"] = split.where(labelled, ""), labelled
        for name in sorted(info.sensors):
            part[f"present_{name}"] = batch.frames[name] != "" if name in batch.sensors else False
        parts.append(part.assign(fault=""))
    table = pd.concat(parts, ignore_index=True)
    return table[[*_COLUMNS, "labelled", *(f"present_{name}" for name in sorted(info.sensors)), "fault", *tags]]


@dataclass(frozen=True)
class _Contents:
    """What the pixels say, beside the arrays that they are written to."""

    statistics: dict[str, "_ChannelStatistics"]
    """{sensor: statistics of its training pixels}."""
    label_counts: dict[str, NDArray[np.int64]]
    """{split: (256,) pixels of each value of the labels}."""
    hashes: list[str]
    """For each row a hash of its prepared images; empty for a frame of fewer than two."""


def _write_arrays(
    batches: Sequence[Batch],
    info: BatchInfo,
    table: pd.DataFrame,
    size: tuple[int, int],
    folder: Path,
    precision: Mapping[str, StoredPrecision],
) -> _Contents:
    """Write the arrays frame by frame, so that memory does not grow with their number; note faults in the table."""
    height, width = size
    count = len(table)
    images = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy",
            mode="w+",
            dtype=precision[name].stored,
            shape=(count, sensor.channels, height, width),
        )
        for name, sensor in info.sensors.items()
    }
    labels = np.lib.format.open_memmap(folder / "label.npy", mode="w+", dtype=np.uint8, shape=(count, height, width))
    statistics = {name: _ChannelStatistics(sensor.channels) for name, sensor in info.sensors.items()}
    label_counts: dict[str, NDArray[np.int64]] = {split: np.zeros(256, np.int64) for split in SPLITS}
    hashes: list[str] = []
    lookup = label_lookup(info)
    row = -1
    for batch in batches:
        for index in range(len(batch.frames)):
            row += 1
            frame, findings = load_frame(batch, index)
            faults = [finding for finding in findings if finding.severity == "critical"]
            table.loc[row, "fault"] = "; ".join(f"{batch.locate(fault.file)}: {fault.fault}" for fault in faults)
            digest, readable = hashlib.sha256(), 0
            for name, sensor in info.sensors.items():
                pixels = None if faults else frame.images.get(name)
                if pixels is None:
                    images[name][row] = np.nan
                    continue
                fitted = fit_image(pixels, sensor, (height, width))
                images[name][row] = rounded = round_image(fitted, precision[name].stored)
                digest.update(name.encode() + rounded.tobytes())
                readable += 1
                if table.split[row] == "train":
                    statistics[name].add(fitted)
            hashes.append(digest.hexdigest() if readable > 1 else "")
            label = None if faults else frame.label
            labels[row] = IGNORE if label is None else resize_label(lookup[label], (height, width))
            if label is not None:
                label_counts[table.split[row]] += np.bincount(label.ravel(), minlength=256)
    for array in (*images.values(), labels):
        array.flush()
    return _Contents(statistics, label_counts, hashes)


class _ChannelStatistics:
    """Mean and standard deviation of each channel over valid pixels, one frame at a time.

    scikit-learn's StandardScaler.partial_fit sums in another order: the last digit of mean and std would differ.
    """

    def __init__(self, channels: int) -> None:
        self.count, self.total, self.squares = (np.zeros(channels) for _ in range(3))

    def add(self, pixels: NDArray[np.float32]) -> None:
        """Count the pixels of one image (C, H, W), NaN where invalid."""
        valid = np.isfinite(pixels)
        values = np.where(valid, pixels, 0).astype(np.float64)
        self.count += valid.sum((1, 2))
        self.total += values.sum((1, 2))
        self.squares += (values**2).sum((1, 2))

    @property
    def mean(self) -> NDArray[np.float64]:
        """(C,) means; 0 for a channel that is never valid."""
        return np.asarray(self.total / np.maximum(self.count, 1))

    @property
    def std(self) -> NDArray[np.float64]:
        """(C,) standard deviations; 1 for a channel that is constant or never valid, so that it can be divided by."""
        variance = self.squares / np.maximum(self.count, 1) - self.mean**2
        return np.where(variance > 1e-10, np.sqrt(np.maximum(variance, 0)), 1.0)


def _describe_sensor(sensor: Sensor, statistics: _ChannelStatistics, stored: StoredType) -> SensorInput:
    """Return what a model has to know of a sensor."""
    return SensorInput(
        kind=sensor.kind,
        channels=sensor.channels,
        range=sensor.range,
        nodata=sensor.nodata,
        mean=tuple(map(float, statistics.mean)),
        std=tuple(map(float, statistics.std)),
        stored=stored,
    )
