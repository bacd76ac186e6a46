"""Measure a batch: one flat table, a row per frame and pair, with the columns of the registry."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.corners import CORNER_COLUMNS
from sensorproof.alignment.frame_measurer import BLANK_TILES, FrameMeasurer
from sensorproof.alignment.frames import RawFrame, Reader, in_order, read_frame
from sensorproof.alignment.measures.calibration import Sizes, measure_calibration
from sensorproof.alignment.measures.columns import NAMES
from sensorproof.alignment.measures.timing import measure_time
from sensorproof.alignment.pairs.deviations import frame_columns
from sensorproof.alignment.pairs.rig import Rig, measure_rig, rig_columns
from sensorproof.alignment.pairs.tile_vectors import PREFIX
from sensorproof.alignment.shard import Shard
from sensorproof.alignment.shards import measure_shard, spans
from sensorproof.data.batch import Batch
from sensorproof.data.frame_table import LABEL
from sensorproof.settings import ValidationSettings

STATE = "state"
"""The last column of the table, which needs the decision on the frames."""
_Order = NDArray[np.int64]


@dataclass
class BatchMeasurements:
    """The measures of a batch."""

    batch: Batch
    table: pd.DataFrame
    """A row per frame and pair (reference, sensor) for every sensor, for the reference itself, and for the label if
    there is one. Absent sensors have a row with present 0 and no measures. The columns are those of the registry
    without `state`."""
    rigs: dict[str, Rig]
    """{sensor or LABEL: its pair with the reference over all frames}."""
    statistics: pd.DataFrame
    """A row per frame and sensor, see `image_statistics`."""
    registrations: pd.DataFrame
    """A row per registered frame and pair: position, sensor, and what the contact sheet draws of it."""
    contents: dict[str, str]
    """{hash of what the images of a frame show: its id}, for frames of at least two images."""
    causes: tuple[str, ...] = ()
    """Lines on why images cannot be registered, from `find_causes`; empty until it was asked."""
    key: str = ""
    """The hash of all that they depend on; empty if they are not kept."""

    def to_tree(self) -> dict[str, Any]:
        """Return plain values, arrays and tables; see `cache.save_tree`."""
        return {
            "table": self.table.drop(columns=STATE, errors="ignore"),
            "rigs": {name: rig.to_tree() for name, rig in self.rigs.items()},
            "statistics": self.statistics,
            "registrations": self.registrations,
            "contents": self.contents,
            "causes": self.causes,
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any], batch: Batch, key: str) -> "BatchMeasurements":
        """Undo `to_tree`."""
        rigs = {name: Rig.from_tree(rig) for name, rig in tree["rigs"].items()}
        return cls(
            batch=batch,
            table=tree["table"],
            rigs=rigs,
            statistics=tree["statistics"],
            registrations=tree["registrations"],
            contents=tree["contents"],
            causes=tuple(tree["causes"]),
            key=key,
        )


def measure_batch(batch: Batch, settings: ValidationSettings, read: Reader = read_frame) -> BatchMeasurements:
    """Measure every frame of a batch, here and now; see `measured.measure` for every core, and results that are kept.

    Args:
        batch: the batch.
        settings: the section validation.
        read: how a frame is read.
    """
    shards = (measure_shard(batch, settings, *span, read) for span in spans(len(batch.frames)))
    return join_shards(batch, settings, shards, read)


@np.errstate(over="ignore", invalid="ignore")
def join_shards(
    batch: Batch, settings: ValidationSettings, shards: Iterable[Shard], read: Reader = read_frame
) -> BatchMeasurements:
    """Join the shards of a batch, and compare each frame with all others.

    Frames that may be swapped or repeated are read again.

    Args:
        batch: the batch.
        settings: the section validation.
        shards: all of them, in order.
        read: how a frame is read.
    """
    order, sequence = in_order(batch)
    measurer = FrameMeasurer(batch, settings)
    for shard in shards:
        measurer.absorb(shard)

    def read_again(position: int) -> RawFrame:
        return read(batch, int(order[position]))

    rigs, parts = {}, []
    for name, tracker in measurer.trackers.items():
        tracker.close()
        tracker.find_swaps(lambda position: measurer.features(read_again(position)))
        rigs[name] = measure_rig(tracker, settings.content)
        parts.append(frame_columns(tracker, rigs[name], sequence, settings.content))
    content = pd.concat(parts).drop(columns=list(CORNER_COLUMNS), errors="ignore")
    drawn = [column for column in content.columns if str(column).startswith(PREFIX)]
    registrations = content[["position", "sensor", *drawn]].reset_index(drop=True) if len(content) else content
    content = content.drop(columns=drawn)
    registered = _registered(content, batch.info.reference)
    duplicates = measurer.duplicates.measure(
        lambda position: read_again(position).images, sequence, lambda *place: place in registered
    )
    sizes = measurer.sizes.most_frequent()
    table = measurer.rows.table()
    if len(content):
        table = table.merge(content, on=["position", "sensor"], how="left")
    table = table.merge(rig_columns(rigs.values(), settings.content), on="sensor", how="left")
    table = table.merge(duplicates, on=["position", "sensor"], how="left")
    table = table.merge(
        _times(batch, measurer.sensors, order, sequence, settings), on=["position", "sensor"], how="left"
    )
    table = table.merge(_calibrations(batch, measurer.sensors, sizes), on="sensor", how="left")
    table = _add_excess(table, settings.content.grid)
    table["wrong_size"] = _wrong_size(table, sizes)
    columns = [name for name in NAMES if name != STATE]
    ids = batch.frames.frame_id.iloc[order]
    contents: dict[str, str] = {}
    for content_hash, frame_id in zip(measurer.contents, ids, strict=True):
        if content_hash:
            contents.setdefault(content_hash, str(frame_id))
    return BatchMeasurements(
        batch, table.reindex(columns=columns), rigs, measurer.statistics.table(), registrations, contents
    )


def _registered(content: pd.DataFrame, reference: str) -> set[tuple[str, int]]:
    """Return (sensor, position) of all images that could be registered.

    The reference counts as registered if any sensor of the frame does.
    """
    known = content.dropna(subset="shift_y_px")[["sensor", "position"]] if len(content) else content
    registered = set(known.itertuples(index=False, name=None))
    return registered | {(reference, position) for _, position in registered}


def _times(
    batch: Batch, names: list[str], order: _Order, sequence: _Order, settings: ValidationSettings
) -> pd.DataFrame:
    """Return the time measures, a row per sensor and position."""
    parts = []
    for name in names:
        part = measure_time(batch, name, settings.time, order, sequence)
        parts.append(part.assign(sensor=name, position=np.arange(len(order))))
    return pd.concat(parts)


def _calibrations(batch: Batch, names: list[str], sizes: Sizes) -> pd.DataFrame:
    """Return the calibration measures, a row per sensor."""
    stamps = batch.frames[f"{batch.info.reference}_time"].to_numpy(float)
    first = float(np.nanmin(stamps)) if np.isfinite(stamps).any() else np.nan
    rows = [{"sensor": name, **asdict(measure_calibration(batch.info, name, sizes, first))} for name in names]
    return pd.DataFrame(rows)


def _add_excess(table: pd.DataFrame, grid: int) -> pd.DataFrame:
    """Add invalid pixels, dead lines and blank tiles beyond those of the sensor's other frames."""
    medians = table.groupby("sensor")[["invalid_share", "dead_lines"]].transform("median")
    table["invalid_excess"] = table.invalid_share - medians.invalid_share
    table["dead_excess"] = table.dead_lines - medians.dead_lines
    table["blank_excess"] = np.nan
    tiles = grid**2
    for _, rows in table[table[BLANK_TILES].notna()].groupby("sensor"):
        bits = rows[BLANK_TILES].to_numpy(np.int64)[:, None] >> np.arange(tiles) & 1
        # A tile that is blank in one frame of ten shows the sky, for example, and is no fault.
        rare = bits.mean(0) < 0.1 if len(bits) >= 10 else bits.mean(0) < 0.5
        table.loc[rows.index, "blank_excess"] = (bits & rare).sum(1) / tiles
    return table


def _wrong_size(table: pd.DataFrame, sizes: Sizes) -> NDArray[np.float64]:
    """Return 1 for images of another size than most of their sensor's, and 0 or NaN for others.

    A label must have the size of its own frame's reference; without one, any size will do.
    """
    size = table.sensor.map(lambda name: sizes.get(name, (np.nan, np.nan)))
    expected = pd.DataFrame({"height": size.str[0], "width": size.str[1]})
    reference = table[table.sensor == table.reference].set_index("position")[["height", "width"]]
    is_label = table.sensor == LABEL
    expected[is_label] = reference.reindex(table.position[is_label]).to_numpy()
    known = table.height.notna() & expected.height.notna()
    wrong = (table.height != expected.height) | (table.width != expected.width)
    return np.where(known, wrong.astype(float), np.nan)
