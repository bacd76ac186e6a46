"""Content measures of one sensor against the reference, frame after frame, pooled by sequence and over the batch."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sensorproof.alignment.affine import Field
from sensorproof.alignment.content import Grid, Image, Spectra, find_peaks, mean_surface
from sensorproof.alignment.registration import Registration, register, register_pool
from sensorproof.alignment.seen import Seen
from sensorproof.settings import ContentChecks

NEIGHBOURS = 2
"""Frames before and after with which a sensor's frame is compared, to see whether it is another's."""
NEAR = 2
"""Displacement in samples within which a frame matches its own partner in a sound rig."""


@dataclass
class Pool:
    """The sum of the correlation surfaces of many frames: what is the same in all of them stands out."""

    grid: Grid
    total: Image
    frames: int
    pixels_per_sample: float

    def add(self, surface: Image, frames: int = 1) -> None:
        self.total += surface
        self.frames += frames

    def register(self, settings: ContentChecks) -> Registration:
        found = register_pool(self.total / self.frames, self.grid, settings)
        return scaled(found, self.pixels_per_sample)


@dataclass(frozen=True)
class Neighbour:
    position: int
    grid: Grid
    reference: Spectra
    sensor: Spectra


def scaled(found: Registration, factor: float) -> Registration:
    """A registration with its lengths in pixels of the reference's image."""
    field = found.field
    if field is not None:
        field = Field(field.shift * factor, field.matrix, field.tiles)
    size = (found.size[0] * factor, found.size[1] * factor)
    return replace(found, field=field, vectors=found.vectors * factor, size=size)


class PairTracker:
    """Registers the frames of one pair as they come. Holds the last few frames' spectra and two pools, no more."""

    def __init__(self, sensor: str, settings: ContentChecks) -> None:
        self.sensor, self.settings = sensor, settings
        self.rows: dict[int, dict[str, Any]] = {}
        self.found: dict[int, Registration] = {}
        self.sequences: dict[int, Registration] = {}
        self.sequence = -1
        self.recent: deque[Neighbour] = deque(maxlen=NEIGHBOURS)
        self.current: Pool | None = None
        self.whole: Pool | None = None

    def add(self, position: int, sequence: int, seen: Seen) -> None:
        """Take in one frame. Frames of one sequence come one after the other."""
        if sequence != self.sequence:
            self.close()
            self.sequence = sequence
        grid = seen.grid(self.sensor)
        if grid is None:
            return
        reference, sensor = seen.spectra_of(seen.reference, grid), seen.spectra_of(self.sensor, grid)
        found, surface = register(reference, sensor, seen.view(self.sensor, grid), grid, self.settings)
        factor = seen.pixels_per_sample(grid)
        self.found[position] = scaled(found, factor)
        self.rows[position] = content_columns(self.found[position])
        near = find_peaks(surface.mean(0, keepdims=True), (0, 0), NEAR)
        self.rows[position].update(
            near_match=float(near.height[0]), near_reliability=float(near.reliability[0]), other_match=0.0
        )
        self.pool(surface, grid, factor)
        now = Neighbour(position, grid, reference, sensor)
        for other in self.recent:
            if other.grid == grid:
                self.compare(position, sensor, other.position, other.reference, grid)
                self.compare(other.position, other.sensor, position, reference, grid)
        self.recent.append(now)

    def compare(self, position: int, sensor: Spectra, other: int, reference: Spectra, grid: Grid) -> None:
        """Note how well the sensor's frame at position matches the reference's frame of another position."""
        peak = find_peaks(mean_surface(reference, sensor, grid.tile)[None], (0, 0), NEAR)
        row = self.rows[position]
        if peak.reliability[0] >= self.settings.reliability and peak.height[0] > row["other_match"]:
            row.update(other_match=float(peak.height[0]), other_position=other)

    def pool(self, surface: Image, grid: Grid, factor: float) -> None:
        """Add a frame's surfaces to its sequence. Frames of another size than the first are left out."""
        if self.current is None:
            self.current = Pool(grid, np.zeros_like(surface), 0, factor)
        if self.current.grid == grid:
            self.current.add(surface)

    def close(self) -> None:
        """End a sequence: register its pool and add it to the batch's."""
        self.recent.clear()
        if self.current is None:
            return
        self.sequences[self.sequence] = self.current.register(self.settings)
        if self.whole is None:
            self.whole = self.current
        elif self.whole.grid == self.current.grid:
            self.whole.add(self.current.total, self.current.frames)
        self.current = None

    def table(self) -> pd.DataFrame:
        """The frames' measures, by position."""
        table = pd.DataFrame.from_dict(self.rows, orient="index").rename_axis("position").reset_index()
        return table.assign(sensor=self.sensor)


def content_columns(found: Registration) -> dict[str, float]:
    """The columns of the table that one frame's registration fills."""
    field = found.field
    columns = {"match": found.match, "reliability": found.reliability, "coverage": found.coverage}
    if field is not None:
        columns["shift_y_px"], columns["shift_x_px"] = float(field.shift[0]), float(field.shift[1])
        columns["corner_px"] = found.corner_px
        if field.matrix.any():
            columns["scale_percent"], columns["rotation_deg"] = field.scale_percent, field.rotation_deg
    return columns
