"""Stage prepare: one array per sensor at training size from the files of all batches, and a table of all frames."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sensorproof.cache import prune
from sensorproof.data.batch import Batch, BatchInfo, Sensor, read_batch
from sensorproof.data.channel_statistics import ChannelStatistics
from sensorproof.data.frame_table import SPLITS
from sensorproof.data.full_writer import write_full_frames
from sensorproof.data.metadata import PreparedMeta, SensorInput, StoredType
from sensorproof.data.precision import choose_precision
from sensorproof.data.prepare_shards import PrepareTask, prepare_all, prepare_tasks
from sensorproof.data.prepared_arrays import write_arrays
from sensorproof.data.source_files import check_source
from sensorproof.data.split_checks import check_classes, check_copies, check_sensors, check_splits
from sensorproof.data.splits import assign_splits, describe_changes
from sensorproof.errors import BatchError, SensorproofError
from sensorproof.files import atomic_folder, write_json
from sensorproof.parallel import Progress, count_workers
from sensorproof.settings import DataSettings
from sensorproof.settings.data import Standardization

_COLUMNS = ["frame_id", "batch", "sequence", "site", "condition", "split"]
_KEPT_DAYS = 14.0
"""Prepared frames that no preparation has used for so long are removed."""


def prepare(
    settings: DataSettings,
    out: Path,
    *,
    cache: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[PreparedMeta, pd.DataFrame, list[str]]:
    """Read every batch and write the prepared data, whole or not at all.

    Writes frames.csv (one row per frame: frame_id, batch, sequence, site, condition, split, labelled,
    present_<sensor>, fault, and the tags of the batches), <sensor>.npy (N, C, H, W) float16 or float32 as in
    prepare_image, label.npy (N, H, W) uint8 with places in `classes` or IGNORE, and meta.json; where the settings ask
    for it, also the frames of train and val at their own resolution (`data.full_writer`). A frame with a fault
    keeps its row, with the fault in it. A frame without a label has no split.

    Args:
        settings: where the batches are, the size of the images, how to split.
        out: the folder to write or replace.
        cache: folder in which the prepared frames of each batch are kept, so that only those of new batches are
            prepared; None keeps none and works here and now.
        workers: processes; 0 for one on each processor. The result is the same.
        progress: is told how many shards are done, and of how many.

    Returns:
        The content of meta.json and of frames.csv, and a line for each thing that is dubious: a range much wider
        than its values, a class that cannot be learnt, a frame that is there twice.

    Raises:
        BatchError: a batch is faulty as a whole, or two batches differ in classes or sensors.
        SettingsError: `data.standardize` names a sensor that no batch has.
        SensorproofError: there is no batch, a split has no labelled frame or lacks a sensor, or the training labels
            show fewer than two classes, or a frame is in two splits under two names.
    """
    batches = read_batches(Path(settings.raw))
    info = common_info(batches)
    splits = assign_splits(batches, settings.split)
    table = _frame_table(batches, info, splits)
    sensors = sorted(info.sensors)
    standardized = settings.standardization(sensors)
    check_splits(settings.raw, table)
    check_sensors(settings.raw, table, sensors)
    precision = choose_precision(batches, info, cache)
    size = settings.size[0], settings.size[1]
    stored = {name: each.stored for name, each in precision.items()}
    tasks = list(prepare_tasks(batches, info, size, stored, cache))
    with atomic_folder(out) as folder:
        shards = prepare_all(tasks, count_workers(workers), progress)
        contents = write_arrays(shards, batches, info, table, size, folder, precision)
        check_splits(settings.raw, table)
        check_sensors(settings.raw, table, sensors)
        warnings = describe_changes(batches, splits)
        warnings += [each.warning for each in precision.values() if each.warning]
        warnings += check_classes(settings.raw, info, contents.label_counts)
        warnings += check_copies(settings.raw, table, contents.hashes)
        good = table[table.fault == ""]
        meta = PreparedMeta(
            sensors={
                name: _describe_sensor(sensor, contents.statistics[name], precision[name].stored, standardized[name])
                for name, sensor in info.sensors.items()
            },
            reference=info.reference,
            classes=info.classes,
            size=size,
            batches=tuple(batch.name for batch in batches),
            frames={split: int((good.split == split).sum()) for split in SPLITS},
        )
        if settings.full_resolution:
            wanted = ((table.fault == "") & table.split.isin(["train", "val"])).tolist()
            write_full_frames(batches, wanted, info, stored, folder, count_workers(workers), progress)
        table.to_csv(folder / "frames.csv", index=False, lineterminator="\n")
        write_json(folder / "meta.json", meta.model_dump(mode="json"))
    if cache is not None:
        prune(cache, _KEPT_DAYS, [task.target for task in tasks if task.target is not None])
    return meta, table, warnings


def preparing_tasks(settings: DataSettings, cache: Path) -> list[PrepareTask]:
    """Return the shards of all batches that are still to be prepared, for other processes and machines.

    Args:
        settings: as in `prepare`.
        cache: the folder of the results; every machine must see it, and the batches, under the same path.

    Raises:
        SensorproofError: as in `read_batches` and `common_info`.
    """
    batches = [replace(batch, root=batch.root.resolve()) for batch in read_batches(Path(settings.raw))]
    info = common_info(batches)
    stored = {name: each.stored for name, each in choose_precision(batches, info, cache).items()}
    tasks = prepare_tasks(batches, info, (settings.size[0], settings.size[1]), stored, cache)
    return [task for task in tasks if task.target is not None and not task.target.is_file()]


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


def _describe_sensor(
    sensor: Sensor, statistics: ChannelStatistics, stored: StoredType, standardized: Standardization
) -> SensorInput:
    """Return what a model has to know of a sensor."""
    return SensorInput(
        kind=sensor.kind,
        channels=sensor.channels,
        range=sensor.range,
        nodata=sensor.nodata,
        mean=tuple(map(float, statistics.mean)),
        std=tuple(map(float, statistics.std)),
        stored=stored,
        standardize=standardized,
    )
