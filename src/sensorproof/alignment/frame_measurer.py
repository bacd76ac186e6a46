"""Measure the frames of a batch one after the other, each from its own pixels and a few of the frames before."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from sensorproof.alignment.frames import RawFrame
from sensorproof.alignment.images import Image
from sensorproof.alignment.measures.calibration import Sizes
from sensorproof.alignment.measures.columns import column_names
from sensorproof.alignment.measures.duplicate_images import DuplicateImages
from sensorproof.alignment.measures.image_quality import image_change, measure_quality, thumbnail
from sensorproof.alignment.measures.image_statistics import image_statistics
from sensorproof.alignment.measures.label_quality import measure_label
from sensorproof.alignment.pairs.pair_tracker import PairTracker
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.shard import Shard
from sensorproof.alignment.table_builder import TableBuilder
from sensorproof.data.batch import Batch
from sensorproof.data.content import hash_content
from sensorproof.data.frame_table import LABEL
from sensorproof.settings import ValidationSettings

BLANK_TILES = "blank_tiles"
"""Column with the blank tiles of each image; it becomes the measure blank_excess once all frames are known."""
_RELATIVE = ("invalid_excess", "dead_excess", "wrong_size", "blank_excess")
"""Measures of image quality that compare a frame with all others: they follow when all frames are known."""
_COLUMNS = (
    *(name for name in column_names("image quality") if name not in _RELATIVE),
    *column_names("label"),
    BLANK_TILES,
)
"""Measures of single images, which are columns even if no frame has a value."""


class _SizeCounts:
    """How many images of each size every sensor has."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[tuple[int, int], int]] = {}

    def add(self, name: str, size: tuple[int, int]) -> None:
        counts = self.counts.setdefault(name, {})
        counts[size] = counts.get(size, 0) + 1

    def absorb(self, sizes: Mapping[str, Mapping[tuple[int, int], int]]) -> None:
        """Add the counts of the next shard."""
        for name, counts in sizes.items():
            own = self.counts.setdefault(name, {})
            for size, count in counts.items():
                own[size] = own.get(size, 0) + count

    def most_frequent(self) -> Sizes:
        """Return height and width of most images of each sensor."""
        return {name: max(counts, key=lambda size: counts[size]) for name, counts in self.counts.items()}


class FrameMeasurer:
    """Collects what can be measured while the frames pass by. Memory holds one frame's pixels, and few of its past.

    A shard of the frames is measured with `prime`, `add` and `shard`, in any process; `absorb` joins the shards.

    Args:
        batch: the batch.
        settings: the section validation.
    """

    def __init__(self, batch: Batch, settings: ValidationSettings) -> None:
        self.batch, self.settings = batch, settings
        reference = batch.info.reference
        self.sensors = [reference, *(name for name in batch.sensors if name != reference)]
        self.trackers = {name: PairTracker(name, settings.content) for name in [*self.sensors[1:], LABEL]}
        self.rows, self.statistics = TableBuilder(_COLUMNS), TableBuilder()
        self.sizes = _SizeCounts()
        self.duplicates = DuplicateImages(self.sensors)
        self.contents: list[str] = []
        """For each frame a hash of what its images show; empty for fewer than two images."""
        self._thumbnails: dict[str, Image] = {}
        self._sequence = -1

    def prime(self, frame: RawFrame, position: int, sequence: int) -> None:
        """Note a frame of the shard before, with which the next one is compared; arguments as in `add`."""
        self._sequence = sequence
        self._thumbnails |= {name: thumbnail(image) for name, image in frame.images.items()}
        features = self.features(frame)
        for tracker in self.trackers.values():
            tracker.prime(position, sequence, features)

    def add(self, frame: RawFrame, cells: Mapping[str, Any], position: int, sequence: int) -> None:
        """Measure one frame.

        Args:
            frame: what could be read.
            cells: the frame's row of frames.csv.
            position: of the frame; see `in_order`.
            sequence: number of its sequence. Frames of one sequence must follow each other.
        """
        if sequence != self._sequence:
            self._sequence = sequence
            self._thumbnails = {}
        thumbnails = {name: thumbnail(image) for name, image in frame.images.items()}
        not_blank = {}
        for name in self.sensors:
            row = self._row(frame, cells, name, position)
            if name in frame.images:
                row |= self._measure_image(frame.images[name], name)
                row |= _changes(name, self._thumbnails, thumbnails)
                if row["contrast"] > self.settings.health.blank_contrast:
                    not_blank[name] = thumbnails[name]
                self.statistics.add(image_statistics(frame.images[name], self.batch.sensors[name], row))
            self.rows.add(row)
        if frame.label is not None or LABEL in frame.faults:
            row = self._row(frame, cells, LABEL, position)
            if frame.label is not None:
                height, width = frame.label.shape
                self.sizes.add(LABEL, (height, width))
                row |= asdict(measure_label(frame.label, self.batch.info))
                row |= {"height": float(height), "width": float(width)}
            self.rows.add(row)
        self.duplicates.add(not_blank)
        features = self.features(frame)
        for tracker in self.trackers.values():
            tracker.add(position, sequence, features)
        self._thumbnails |= thumbnails
        self.contents.append(hash_content(frame.images))

    def shard(self, is_continued: bool) -> Shard:
        """End a shard and return it.

        Args:
            is_continued: whether the next shard continues the last sequence.
        """
        return Shard(
            rows=self.rows.table(),
            statistics=self.statistics.table(),
            sizes=self.sizes.counts,
            digests=self.duplicates.digests,
            contents=tuple(self.contents),
            pairs={name: tracker.part(is_continued) for name, tracker in self.trackers.items()},
        )

    def absorb(self, shard: Shard) -> None:
        """Add the next shard."""
        self.rows.extend(shard.rows)
        self.statistics.extend(shard.statistics)
        self.sizes.absorb(shard.sizes)
        self.duplicates.absorb(shard.digests)
        self.contents += shard.contents
        for name, part in shard.pairs.items():
            self.trackers[name].absorb(part)

    def features(self, frame: RawFrame) -> FrameFeatures:
        """Return the features of a frame that registration compares."""
        return FrameFeatures(self.batch.info, frame.images, frame.label, self.settings.content)

    def _row(self, frame: RawFrame, cells: Mapping[str, Any], name: str, position: int) -> dict[str, Any]:
        """Return the columns of the group "frame" for a sensor or LABEL."""
        file = cells["label"] if name == LABEL else cells[name]
        is_reference = name == self.batch.info.reference
        return {
            "batch": self.batch.name,
            "frame_id": cells["frame_id"],
            "site": cells["site"],
            "sequence": cells["sequence"],
            "position": position,
            "reference": self.batch.info.reference,
            "sensor": name,
            "file": file,
            "present": float(bool(file)),
            "unreadable": float(name in frame.faults),
            "sensors": float(sum(bool(cells[s]) for s in self.batch.sensors)) if is_reference else np.nan,
            "fault": frame.faults.get(name, ""),
        }

    def _measure_image(self, image: Image, name: str) -> dict[str, Any]:
        """Return quality and size of a sensor's image (C, H, W)."""
        height, width = image.shape[1:]
        self.sizes.add(name, (height, width))
        health, content = self.settings.health, self.settings.content
        quality = measure_quality(image, self.batch.sensors[name], health.blank_contrast, content.grid)
        return asdict(quality) | {"height": float(height), "width": float(width)}


def _changes(name: str, before: Mapping[str, Image], now: Mapping[str, Image]) -> dict[str, float]:
    """Return the change of a sensor's thumbnail since the previous frame, and the largest of any other sensor."""
    if name not in before or name not in now:
        return {}
    own = image_change(before[name], now[name])
    others = [image_change(before[other], now[other]) for other in now if other != name and other in before]
    known = [change for change in others if np.isfinite(change)]
    return {"image_change": own, "scene_change": max(known) if known else np.nan}
