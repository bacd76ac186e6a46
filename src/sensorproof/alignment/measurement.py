"""A batch -> one flat table of measures, a row per frame and sensor pair, read frame by frame."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.frames import Frame, Reader, in_order, read_frame
from sensorproof.alignment.measures.calibration import calibration_measures
from sensorproof.alignment.measures.duplicate_images import DuplicateImages
from sensorproof.alignment.measures.image_quality import change, health, thumbnail
from sensorproof.alignment.measures.image_statistics import image_statistics
from sensorproof.alignment.measures.label_quality import label_measures
from sensorproof.alignment.measures.timing import time_measures
from sensorproof.alignment.pairs import pair_tracker
from sensorproof.alignment.pairs.pair_tracker import PairTracker
from sensorproof.alignment.pairs.rig import FRAME_COLUMNS, RIG_COLUMNS, Rig, pair_columns, rig_columns, rig_of
from sensorproof.alignment.registration.edges import Image
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.table_builder import TableBuilder
from sensorproof.data.batch import LABEL, Batch
from sensorproof.settings import ValidationSettings

_Sizes = dict[str, tuple[int, int]]


@dataclass
class BatchMeasurements:
    """The table of a batch, and what was pooled over its frames.

    `table` has one row per frame and pair (reference, sensor) for every sensor, the reference itself, and the
    label where there is one. Absent sensors have a row with present 0 and no measures.
    """

    batch: Batch
    table: pd.DataFrame
    rigs: dict[str, Rig]
    statistics: pd.DataFrame
    """Per-frame image statistics of every sensor, for drift: a row per frame and sensor."""


class _SizeCount:
    """How many images of each size every sensor has."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[tuple[int, int], int]] = {}

    def add(self, name: str, size: tuple[int, int]) -> None:
        count = self.counts.setdefault(name, {})
        count[size] = count.get(size, 0) + 1

    def usual(self) -> _Sizes:
        """Height and width of most images of each sensor."""
        return {name: max(count, key=lambda size: count[size]) for name, count in self.counts.items()}


@np.errstate(over="ignore", invalid="ignore")
def measure_batch(batch: Batch, settings: ValidationSettings, read: Reader = read_frame) -> BatchMeasurements:
    """Measure every frame of a batch. Holds one frame's pixels at a time, and a few of the frames before.

    Args:
        read: how a frame is read; tests put faults into frames here.
    """
    order, sequence = in_order(batch)
    reference = batch.info.reference
    names = [reference, *(s for s in batch.sensors if s != reference)]
    trackers = {n: PairTracker(n, settings.content) for n in [*names[1:], LABEL]}
    rows, statistics, sizes, repeats = TableBuilder(COLUMNS), TableBuilder(), _SizeCount(), DuplicateImages(names)
    before: dict[str, Image] = {}
    last = -1
    cells_in_order = batch.frames.iloc[order].itertuples(index=False, name=None)
    for position, (frame_row, values) in enumerate(zip(order, cells_in_order, strict=True)):
        frame, cells = read(batch, int(frame_row)), dict(zip(batch.frames.columns, values, strict=True))
        if sequence[position] != last:
            last = int(sequence[position])
            before = {}
        now = {name: thumbnail(image) for name, image in frame.images.items()}
        showing = {}
        for name in names:
            row = row_of(batch, cells, frame, name, position)
            if name in frame.images:
                image = frame.images[name]
                sizes.add(name, (image.shape[1], image.shape[2]))
                measures = health(image, batch.sensors[name], settings.health.blank_contrast, settings.content.grid)
                row |= asdict(measures) | {"height": float(image.shape[1]), "width": float(image.shape[2])}
                row |= changes(name, before, now)
                if measures.contrast > settings.health.blank_contrast:
                    showing[name] = now[name]
                statistics.add(image_statistics(image, batch.sensors[name], row))
            rows.add(row)
        if frame.label is not None or LABEL in frame.faults:
            row = row_of(batch, cells, frame, LABEL, position)
            if frame.label is not None:
                height, width = frame.label.shape
                sizes.add(LABEL, (height, width))
                row |= asdict(label_measures(frame.label, batch.info))
                row |= {"height": float(height), "width": float(width)}
            rows.add(row)
        repeats.add(showing)
        seen = _seen_in(batch, frame, settings)
        for tracker in trackers.values():
            tracker.add(position, last, seen)
        before |= now
    table, rigs = rows.table(), {}
    found = []

    def again(position: int) -> Frame:
        return read(batch, int(order[position]))

    for name, tracker in trackers.items():
        tracker.close()
        tracker.find_swaps(lambda position: _seen_in(batch, again(position), settings))
        rigs[name] = rig_of(tracker, settings.content)
        found.append(pair_columns(tracker, rigs[name], sequence, settings.content))
    content = pd.concat(found).drop(columns=list(pair_tracker.CORNERS), errors="ignore")
    if len(content):
        table = table.merge(content, on=["position", "sensor"], how="left")
    table = table.merge(rig_columns(rigs.values(), settings.content), on="sensor", how="left")
    known = content.dropna(subset="shift_y_px")[["sensor", "position"]] if len(content) else content
    shifted = set(known.itertuples(index=False, name=None))
    # The reference has a place where any pair of it has one.
    shifted |= {(reference, position) for _, position in shifted}
    twice = repeats.columns(lambda k: again(k).images, sequence, lambda *place: place in shifted)
    table = table.merge(twice, on=["position", "sensor"], how="left")
    table = _add_times(table, batch, names, order, sequence, settings)
    table = _add_calibration(table, batch, names, sizes.usual())
    table = _add_baselines(table, sizes.usual(), settings)
    return BatchMeasurements(batch, table, rigs, statistics.table())


def _seen_in(batch: Batch, frame: Frame, settings: ValidationSettings) -> FrameFeatures:
    """A frame as the registration sees it."""
    return FrameFeatures(batch.info, frame.images, frame.label, settings.content)


def row_of(batch: Batch, cells: dict[str, Any], frame: Frame, name: str, position: int) -> dict[str, Any]:
    """The columns that every row has.

    Args:
        cells: the frame's row of frames.csv.
        name: a sensor, or LABEL.
    """
    claimed = cells["label"] if name == LABEL else cells[name]
    return {
        "batch": batch.name,
        "frame_id": cells["frame_id"],
        "site": cells["site"],
        "sequence": cells["sequence"],
        "position": position,
        "reference": batch.info.reference,
        "sensor": name,
        "file": claimed,
        "present": float(bool(claimed)),
        "unreadable": float(name in frame.faults),
        "sensors": float(sum(bool(cells[s]) for s in batch.sensors)) if name == batch.info.reference else np.nan,
        "fault": frame.faults.get(name, ""),
    }


def changes(name: str, before: dict[str, Image], now: dict[str, Image]) -> dict[str, float]:
    """Change of a sensor's image since the frame before, and the largest change of any other sensor's."""
    if name not in before or name not in now:
        return {}
    own = change(before[name], now[name])
    others = [change(before[o], now[o]) for o in now if o != name and o in before]
    known = [o for o in others if np.isfinite(o)]
    return {"image_change": own, "scene_change": max(known) if known else np.nan}


def _add_times(
    table: pd.DataFrame,
    batch: Batch,
    names: list[str],
    order: NDArray[np.int64],
    sequence: NDArray[np.int64],
    settings: ValidationSettings,
) -> pd.DataFrame:
    """Join the time measures of every sensor."""
    parts = []
    for name in names:
        part = time_measures(batch, name, settings.time, order, sequence)
        parts.append(part.assign(sensor=name, position=np.arange(len(order))))
    return table.merge(pd.concat(parts), on=["position", "sensor"], how="left")


def _add_calibration(table: pd.DataFrame, batch: Batch, names: list[str], sizes: _Sizes) -> pd.DataFrame:
    """Join the calibration measures, the same for every frame of a sensor."""
    stamps = batch.frames[f"{batch.info.reference}_time"].to_numpy(float)
    first = float(np.nanmin(stamps)) if np.isfinite(stamps).any() else np.nan
    found = [{"sensor": n, **asdict(calibration_measures(batch.info, n, sizes, first))} for n in names]
    return table.merge(pd.DataFrame(found), on="sensor", how="left")


def _add_baselines(table: pd.DataFrame, sizes: _Sizes, settings: ValidationSettings) -> pd.DataFrame:
    """Add what is only odd against the sensor's other frames: size, invalid pixels, dead lines, blank tiles."""
    table = table.reindex(
        columns=list(dict.fromkeys([*table.columns, *pair_tracker.COLUMNS, *FRAME_COLUMNS, *RIG_COLUMNS]))
    )
    usual = table.groupby("sensor")[["invalid_share", "dead_lines"]].transform("median")
    table["invalid_excess"] = table.invalid_share - usual.invalid_share
    table["dead_excess"] = table.dead_lines - usual.dead_lines
    usual_size = table.sensor.map(lambda s: sizes.get(s, (np.nan, np.nan)))
    expected = pd.DataFrame({"height": usual_size.str[0], "width": usual_size.str[1]})
    # A label must fit the reference of its own frame; without that, any will do.
    own = table[table.sensor == table.reference].set_index("position")[["height", "width"]]
    labels = table.sensor == LABEL
    expected[labels] = own.reindex(table.position[labels]).to_numpy()
    known = table.height.notna() & expected.height.notna()
    wrong = (table.height != expected.height) | (table.width != expected.width)
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
    "height", "width", "invalid_share", "saturated_share", "outside_share", "contrast", "dead_lines", "blank_tiles",
    "image_change", "scene_change", "label_unknown_share", "label_coverage", "label_classes",
)  # fmt: skip
"""Measures of single images, that are columns even where no frame has a value."""
