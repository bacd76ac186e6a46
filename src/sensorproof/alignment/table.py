"""A batch -> one flat table of measures, a row per frame and sensor pair, read frame by frame."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.calibration import calibration_measures
from sensorproof.alignment.health import change, health, thumbnail
from sensorproof.alignment.labels import LABEL, label_measures
from sensorproof.alignment.pairs import PairTracker
from sensorproof.alignment.seen import Seen
from sensorproof.alignment.statistics import image_statistics
from sensorproof.alignment.timing import time_measures
from sensorproof.data.batch import Batch
from sensorproof.data.images import read_image, read_label
from sensorproof.errors import SensorproofError
from sensorproof.settings import ValidateSettings

Image = NDArray[np.float32]
CLOCK = ["clock_offset_s", "clock_drift_s", "clock_jitter_s"]


@dataclass
class Measured:
    """The table of a batch, and what was pooled over its frames.

    `table` has one row per frame and pair (reference, sensor) for every sensor, the reference itself, and the
    label where there is one. Absent sensors have a row with present 0 and no measures.
    """

    batch: Batch
    table: pd.DataFrame
    trackers: dict[str, PairTracker]
    sizes: dict[str, tuple[int, int]]
    statistics: pd.DataFrame
    """Per-frame image statistics of every sensor, for drift: a row per frame and sensor."""


@dataclass
class Frame:
    """What was read of one frame: images (C, H, W) by sensor, or why a file could not be read."""

    row: int
    images: dict[str, Image] = field(default_factory=dict)
    label: NDArray[np.uint8] | None = None
    faults: dict[str, str] = field(default_factory=dict)


def in_order(batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of batch.frames sequence by sequence, each in the file's order, and the number of each one's sequence."""
    number, _ = pd.factorize(batch.frames.sequence)
    order = np.argsort(number, kind="stable")
    return order, number[order].astype(np.int64)


def read_frame(batch: Batch, row: int) -> Frame:
    """Read all files of one frame; what cannot be read is noted in `faults`, never raised."""
    frame = Frame(row)
    for name, sensor in batch.sensors.items():
        relative = str(batch.frames[name].iat[row])
        if relative:
            try:
                frame.images[name] = read_image(batch.path(relative), sensor)
            except SensorproofError as error:
                frame.faults[name] = error.fault
    relative = str(batch.frames.label.iat[row])
    if relative:
        try:
            frame.label = read_label(batch.path(relative), batch.info)
        except SensorproofError as error:
            frame.faults[LABEL] = error.fault
    return frame


def measure(batch: Batch, settings: ValidateSettings) -> Measured:
    """Measure every frame of a batch. Holds one frame's pixels at a time, and a few of the frames before."""
    order, sequence = in_order(batch)
    reference = batch.info.reference
    names = [reference, *(s for s in batch.sensors if s != reference)]
    trackers = {n: PairTracker(n, settings.content) for n in [*names[1:], LABEL]}
    rows: list[dict[str, Any]] = []
    statistics: list[dict[str, Any]] = []
    before: dict[str, Image] = {}
    counts: dict[str, dict[tuple[int, int], int]] = {n: {} for n in [*names, LABEL]}
    last = -1
    for position, frame in frames_of(batch, order):
        if sequence[position] != last:
            last = int(sequence[position])
            before = {}
        now = {name: thumbnail(image) for name, image in frame.images.items()}
        seen = Seen(batch, frame.images, frame.label, settings.content)
        for name in names:
            row = row_of(batch, frame, name, position)
            if name in frame.images:
                image = frame.images[name]
                size = (image.shape[1], image.shape[2])
                counts[name][size] = counts[name].get(size, 0) + 1
                measures = health(image, batch.sensors[name], settings.health.blank_contrast, settings.content.grid)
                row.update(asdict(measures), height=size[0], width=size[1])
                row.update(changes(name, reference, before, now))
                statistics.append(image_statistics(image, batch.sensors[name], row))
                if name != reference:
                    trackers[name].add(position, last, seen)
            rows.append(row)
        if frame.label is not None or LABEL in frame.faults:
            row = row_of(batch, frame, LABEL, position)
            if frame.label is not None:
                size = (frame.label.shape[0], frame.label.shape[1])
                counts[LABEL][size] = counts[LABEL].get(size, 0) + 1
                row.update(asdict(label_measures(frame.label, batch.info)), height=size[0], width=size[1])
                trackers[LABEL].add(position, last, seen)
            rows.append(row)
        before.update(now)
    sizes = {name: max(found, key=lambda s: found[s]) for name, found in counts.items() if found}
    table = pd.DataFrame(rows)
    for tracker in trackers.values():
        tracker.close()
    found = [tracker.table() for tracker in trackers.values() if tracker.rows]
    if found:
        table = table.merge(pd.concat(found), on=["position", "sensor"], how="left")
    table = add_times(table, batch, names, order, sequence, settings)
    table = add_calibration(table, batch, names, sizes)
    table = add_baselines(table, sizes, settings)
    return Measured(batch, table, trackers, sizes, pd.DataFrame(statistics))


def frames_of(batch: Batch, order: NDArray[np.int64]) -> Iterator[tuple[int, Frame]]:
    """Read the frames one after the other."""
    for position, row in enumerate(order):
        yield position, read_frame(batch, int(row))


def row_of(batch: Batch, frame: Frame, name: str, position: int) -> dict[str, Any]:
    """The columns that every row has."""
    cells = batch.frames.iloc[frame.row]
    claimed = cells.label if name == LABEL else cells[name]
    return {
        "batch": batch.name,
        "frame_id": cells.frame_id,
        "sequence": cells.sequence,
        "position": position,
        "reference": batch.info.reference,
        "sensor": name,
        "file": claimed,
        "present": float(bool(claimed)),
        "unreadable": float(name in frame.faults),
        "fault": frame.faults.get(name, ""),
    }


def changes(name: str, reference: str, before: dict[str, Image], now: dict[str, Image]) -> dict[str, float]:
    """Change of a sensor's image since the frame before, and the largest change of any other sensor's."""
    if name not in before or name not in now:
        return {}
    own = change(before[name], now[name])
    others = [change(before[o], now[o]) for o in now if o != name and o in before]
    known = [o for o in others if np.isfinite(o)]
    return {"image_change": own, "scene_change": max(known) if known else np.nan}


def add_times(
    table: pd.DataFrame,
    batch: Batch,
    names: list[str],
    order: NDArray[np.int64],
    sequence: NDArray[np.int64],
    settings: ValidateSettings,
) -> pd.DataFrame:
    """Join the time measures of every sensor."""
    parts = []
    for name in names:
        part = time_measures(batch, name, settings.time, order, sequence)
        parts.append(part.assign(sensor=name, position=np.arange(len(order))))
    return table.merge(pd.concat(parts), on=["position", "sensor"], how="left")


def add_calibration(
    table: pd.DataFrame, batch: Batch, names: list[str], sizes: dict[str, tuple[int, int]]
) -> pd.DataFrame:
    """Join the calibration measures, the same for every frame of a sensor."""
    stamps = batch.frames[f"{batch.info.reference}_time"].to_numpy(float)
    first = float(np.nanmin(stamps)) if np.isfinite(stamps).any() else np.nan
    found = [{"sensor": n, **asdict(calibration_measures(batch.info, n, sizes, first))} for n in names]
    return table.merge(pd.DataFrame(found), on="sensor", how="left")


def add_baselines(table: pd.DataFrame, sizes: dict[str, tuple[int, int]], settings: ValidateSettings) -> pd.DataFrame:
    """Add what is only odd against the sensor's other frames: size, invalid pixels, dead lines, blank tiles."""
    table = table.reindex(columns=list(dict.fromkeys([*table.columns, *COLUMNS])))
    usual = table.groupby("sensor")[["invalid_share", "dead_lines"]].transform("median")
    table["invalid_excess"] = table.invalid_share - usual.invalid_share
    table["dead_excess"] = table.dead_lines - usual.dead_lines
    expected = table.sensor.map(lambda s: sizes.get(s, (np.nan, np.nan)))
    known = table.height.notna()
    wrong = (table.height != expected.str[0]) | (table.width != expected.str[1])
    table["wrong_size"] = np.where(known, wrong.astype(float), np.nan)
    table["blank_excess"] = np.nan
    tiles = settings.content.grid**2
    for _, part in table[table.blank_tiles.notna()].groupby("sensor"):
        bits = part.blank_tiles.to_numpy(np.int64)[:, None] >> np.arange(tiles) & 1
        # A tile that is blank in one frame of ten is the sensor's way of seeing the sky, not a fault.
        rare = bits.mean(0) < 0.1 if len(bits) >= 10 else bits.mean(0) < 0.5
        table.loc[part.index, "blank_excess"] = (bits & rare).sum(1) / tiles
    return table.drop(columns="blank_tiles")


COLUMNS = (
    "height", "width", "invalid_share", "saturated_share", "contrast", "dead_lines", "blank_tiles",
    "image_change", "scene_change", "label_unknown_share", "label_coverage", "label_classes",
    "match", "reliability", "coverage", "shift_y_px", "shift_x_px", "scale_percent", "rotation_deg", "corner_px",
    "deviation_px", "sequence_corner_px", "rig_corner_px", "rig_scale_percent", "rig_rotation_deg",
    "near_match", "near_reliability", "other_match", "other_position",
)  # fmt: skip
"""Columns that are there even where no frame has a value."""
