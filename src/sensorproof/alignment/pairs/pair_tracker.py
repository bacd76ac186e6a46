"""Content measures of one sensor against the reference, frame after frame, pooled by sequence and over the batch."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sensorproof.alignment.pairs.frame_swaps import LostFrames, Pair
from sensorproof.alignment.registration.displacement_field import corners_of
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.peaks import find_peaks
from sensorproof.alignment.registration.phase_correlation import Grid, Spectra, Surface, mean_surface
from sensorproof.alignment.registration.tile_registration import Registration, register, register_pool
from sensorproof.alignment.table_builder import TableBuilder
from sensorproof.settings import ContentChecks

_NEIGHBOURS = 1
"""Frames before and after with which a sensor's frame is compared, to see whether it is another's."""
SIZES = 3
"""Image sizes of one pair that are pooled: a stray frame of another size must not speak for the rest."""
Size = tuple[Grid, float]
"""The tiles of a pair, and pixels of the reference for one of its samples: both images' sizes."""
CORNERS = tuple(f"corner{k}_{axis}_px" for k in range(4) for axis in "yx")
"""Displacements at the four corners, by the frame's field."""
COLUMNS = (
    "match", "reliability", "coverage", "certainty", "shift_y_px", "shift_x_px", "scale_percent", "rotation_deg",
    "corner_px", "corner_error_px", "other_match", "other_position",
)  # fmt: skip


@dataclass
class _Pool:
    """The sum of the correlation surfaces of many frames: what is the same in all of them stands out."""

    grid: Grid
    total: Surface
    frames: int
    pixels_per_sample: float

    def add(self, surface: Surface, frames: int = 1) -> None:
        self.total += surface
        self.frames += frames

    def register(self, settings: ContentChecks) -> Registration:
        return register_pool(self.total / np.float32(self.frames), self.grid, settings).scaled(self.pixels_per_sample)


class _Pools:
    """Pools of the sizes that frames have, SIZES at most; what most frames have speaks for all."""

    def __init__(self) -> None:
        self.by_size: dict[Size, _Pool] = {}

    def add(self, surface: Surface, size: Size, frames: int = 1) -> None:
        if size not in self.by_size:
            _make_room(self.by_size, {each: pool.frames for each, pool in self.by_size.items()})
            self.by_size[size] = _Pool(size[0], np.zeros_like(surface), 0, size[1])
        self.by_size[size].add(surface, frames)

    @property
    def largest(self) -> _Pool | None:
        return max(self.by_size.values(), key=lambda pool: pool.frames, default=None)


def _make_room(kept: dict[Size, Any], frames: dict[Size, int]) -> None:
    """Let the size that fewest frames have go, where there are SIZES."""
    if len(kept) == SIZES:
        del kept[min(frames, key=lambda size: frames[size])]


@dataclass(frozen=True)
class _Neighbour:
    """A frame that later ones are compared with; its row may still change."""

    grid: Grid
    reference: Spectra
    sensor: Spectra
    row: dict[str, Any]


class PairTracker:
    """Registers the frames of one pair as they come. Holds the last few frames' spectra and two pools, no more.

    Lengths are pixels of the reference's image.
    """

    def __init__(self, sensor: str, settings: ContentChecks) -> None:
        self.sensor, self.settings = sensor, settings
        self.frames = TableBuilder(("position", *COLUMNS, *CORNERS))
        """A row per frame: position, COLUMNS and CORNERS."""
        self.sequences = TableBuilder(("sequence_number", *COLUMNS, *CORNERS))
        """A row per sequence: its number and the same, of all its frames together."""
        self.sequence = -1
        self.recent: deque[_Neighbour] = deque()
        self.lost: dict[Size, LostFrames] = {}
        self.swaps: list[tuple[int, int, float]] = []
        """Position, the position whose reference the frame there belongs to, and how well they match."""
        self.current, self.whole = _Pools(), _Pools()

    def add(self, position: int, sequence: int, seen: FrameFeatures) -> None:
        """Take in one frame. Frames of one sequence come one after the other."""
        if sequence != self.sequence:
            self.close()
            self.sequence = sequence
        grid = seen.grid(self.sensor)
        if grid is None:
            return
        reference, sensor = seen.spectra_of(seen.reference, grid), seen.spectra_of(self.sensor, grid)
        found, surface = register(reference, sensor, seen.edges_of(self.sensor, grid), grid, self.settings)
        factor = seen.pixels_per_sample(grid)
        row = {"position": position, **_columns_of(found.scaled(factor))}
        size = grid, factor
        self.current.add(surface, size)
        if found.shift is None:
            if size not in self.lost:
                _make_room(self.lost, {each: lost.count for each, lost in self.lost.items()})
            self.lost.setdefault(size, LostFrames(grid)).add(position, reference, sensor)
        now = _Neighbour(grid, reference, sensor, row)
        for other in self.recent:
            if other.grid == grid:
                self.compare(now, other)
                self.compare(other, now)
        self.recent.append(now)
        if len(self.recent) > _NEIGHBOURS:
            self.frames.add(self.recent.popleft().row)

    def compare(self, one: _Neighbour, other: _Neighbour) -> None:
        """Note whether the sensor's frame of `one` matches the reference's frame of `other`, and how well."""
        peak = find_peaks(mean_surface(other.reference, one.sensor), one.grid.reach)
        height = float(peak.height[0])
        if peak.reliability[0] >= self.settings.reliability and height > one.row.get("other_match", 0.0):
            one.row.update(other_match=height, other_position=float(other.row["position"]))

    def find_swaps(self, look: Callable[[int], FrameFeatures]) -> None:
        """Note whose partners lost frames are. Call it at the end.

        Args:
            look: position -> the frame there, read again.
        """
        table = self.frames.table()
        usual = table.shift_y_px.notna().mean() if len(table) else 0.0
        for lost in self.lost.values():
            lost.compare()
        found = [s for lost in self.lost.values() for pair in lost.found if (s := self._confirm(pair, look))]
        # Of a pair that is mostly unmeasurable some frames match others by chance; most do where all are mixed up.
        if usual >= 0.5 or len(found) >= sum(lost.count for lost in self.lost.values()) / 2:
            self.swaps = found

    def _confirm(self, pair: Pair, look: Callable[[int], FrameFeatures]) -> tuple[int, int, float] | None:
        """Register the sensor's frame of one position to the reference's of another: both, and how well they match."""
        one, other = look(pair[0]), look(pair[1])
        grid = one.grid(self.sensor)
        if grid is None or other.grid(self.sensor) != grid:
            return None
        surface = mean_surface(other.spectra_of(other.reference, grid), one.spectra_of(self.sensor, grid))
        peak = find_peaks(surface, grid.reach)
        return (*pair, float(peak.height[0])) if peak.reliability[0] >= self.settings.reliability else None

    def close(self) -> None:
        """End a sequence: register its pool and add it to the batch's."""
        while self.recent:
            self.frames.add(self.recent.popleft().row)
        if (pool := self.current.largest) is None:
            return
        self.sequences.add({"sequence_number": self.sequence, **_columns_of(pool.register(self.settings))})
        for size, each in self.current.by_size.items():
            self.whole.add(each.total, size, each.frames)
        self.current = _Pools()


def _columns_of(found: Registration) -> dict[str, float]:
    """The columns that one registration fills."""
    names = ("match", "reliability", "coverage", "certainty")
    columns: dict[str, float] = {name: getattr(found, name) for name in names}
    if found.shift is not None:
        columns["shift_y_px"], columns["shift_x_px"] = (float(v) for v in found.shift)
        columns["corner_px"] = found.corner_px
    if found.field is not None:
        columns["scale_percent"], columns["rotation_deg"] = found.field.scale_percent, found.field.rotation_deg
        columns["corner_error_px"] = found.corner_error_px
        columns |= dict(zip(CORNERS, map(float, found.field.at(corners_of(found.size)).ravel()), strict=True))
    return columns
