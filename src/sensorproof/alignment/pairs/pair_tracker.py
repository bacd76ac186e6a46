"""Content measures of one sensor against the reference, frame by frame, pooled by sequence and over the batch."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensorproof.alignment.corners import CORNER_COLUMNS, image_corners
from sensorproof.alignment.measures.columns import column_names
from sensorproof.alignment.pairs.frame_swaps import Match, UnregisteredFrames, low_frequencies
from sensorproof.alignment.pairs.pair_part import PairPart, Piece, Unregistered
from sensorproof.alignment.pairs.pools import PairSize, Pools, drop_rarest_size
from sensorproof.alignment.pairs.tile_vectors import vector_columns
from sensorproof.alignment.registration.frame_features import FrameFeatures
from sensorproof.alignment.registration.peaks import find_peaks
from sensorproof.alignment.registration.phase_correlation import Grid, Spectra, mean_correlation
from sensorproof.alignment.registration.tile_registration import Registration, register
from sensorproof.alignment.table_builder import TableBuilder
from sensorproof.settings import ContentChecks

_NEIGHBOURS = 1
"""Number of previous frames that a frame is compared with, to find out whether it is another one's."""
_COLUMNS = (*column_names("registration"), *CORNER_COLUMNS)


@dataclass(frozen=True)
class _Neighbour:
    """A frame that later ones are compared with; its row may still change."""

    grid: Grid
    reference: Spectra
    sensor: Spectra
    row: dict[str, Any]
    is_earlier: bool = False
    """Whether it belongs to the shard before, which has its row."""


class PairTracker:
    """Registers the frames of one pair in order. Memory holds the spectra of the last few frames and two pools.

    A shard of the frames is registered with `prime`, `add` and `part`, in any process; `absorb` joins the shards in
    order. Lengths are in pixels of the reference's image.

    Args:
        sensor: the sensor of the pair, or LABEL.
        settings: how images are registered.
    """

    def __init__(self, sensor: str, settings: ContentChecks) -> None:
        self.sensor, self.settings = sensor, settings
        self.frames = TableBuilder(("position", *_COLUMNS))
        """A row per frame: position, the measures of the registration, and the displacements of the corners."""
        self.sequences = TableBuilder(("sequence_number", *_COLUMNS))
        """A row per sequence: its number, and the same of all its frames together."""
        self.swaps: list[tuple[int, int, float]] = []
        """Position of a swapped frame, position of the reference that it belongs to, and their match."""
        self.whole = Pools()
        """Over the batch."""
        self._current = Pools()
        self._sequence = -1
        self._recent: deque[_Neighbour] = deque()
        self._unregistered: dict[PairSize, UnregisteredFrames] = {}
        self._last = self.frames.table()
        self._is_continued = False
        self._part = PairPart(self._last, self._last, self.whole)

    def prime(self, position: int, sequence: int, features: FrameFeatures) -> None:
        """Note a frame of the shard before as the neighbour of the next one; arguments as in `add`."""
        if sequence != self._sequence:
            self._recent.clear()
        self._sequence, self._is_continued = sequence, True
        grid = features.grid(self.sensor)
        if grid is not None:
            reference, sensor = features.spectra_of(features.reference, grid), features.spectra_of(self.sensor, grid)
            self._recent.clear()
            self._recent.append(_Neighbour(grid, reference, sensor, {"position": position}, is_earlier=True))

    def add(self, position: int, sequence: int, features: FrameFeatures) -> None:
        """Register one frame.

        Args:
            position: of the frame; see `in_order`.
            sequence: number of its sequence. Frames of one sequence must follow each other.
            features: of the frame.
        """
        if sequence != self._sequence:
            self.close()
            self._sequence = sequence
        grid = features.grid(self.sensor)
        if grid is None:
            return
        reference, sensor = features.spectra_of(features.reference, grid), features.spectra_of(self.sensor, grid)
        edges = features.edges_of(self.sensor, grid)
        registration, surface = register(reference, sensor, edges, grid, self.settings)
        pixels_per_sample = features.pixels_per_sample(grid)
        row = {"position": position, **_columns_of(registration.scaled(pixels_per_sample))}
        row |= vector_columns(registration)
        size = grid, pixels_per_sample
        self._current.add(surface, size)
        if registration.shift is None:
            spectra = low_frequencies(reference), low_frequencies(sensor)
            self._part.unregistered.append(Unregistered(position, size, *spectra))
        latest = _Neighbour(grid, reference, sensor, row)
        for earlier in self._recent:
            if earlier.grid == grid:
                self._compare(latest, earlier)
                self._compare(earlier, latest)
        self._recent.append(latest)
        if len(self._recent) > _NEIGHBOURS:
            self._record(self._recent.popleft())

    def _record(self, frame: _Neighbour) -> None:
        """Add a frame's row to the table, now that it has been compared with its neighbours."""
        if not frame.is_earlier:
            self.frames.add(frame.row)
        elif "other_match" in frame.row:
            row = frame.row
            self._part.earlier.append((row["position"], row["other_match"], int(row["other_position"])))

    def _compare(self, frame: _Neighbour, neighbour: _Neighbour) -> None:
        """Record in the frame's row how well its sensor image matches the neighbour's reference."""
        peak = find_peaks(mean_correlation(neighbour.reference, frame.sensor), frame.grid.reach)
        height = float(peak.height[0])
        if peak.reliability[0] >= self.settings.reliability and height > frame.row.get("other_match", 0.0):
            frame.row.update(other_match=height, other_position=float(neighbour.row["position"]))

    def find_swaps(self, read: Callable[[int], FrameFeatures]) -> None:
        """Find the references that unregistered frames belong to. Call it after all frames were added.

        Args:
            read: position -> the features of the frame there, read again.
        """
        table = self.frames.table()
        registered_share = table.shift_y_px.notna().mean() if len(table) else 0.0
        groups = list(self._unregistered.values())
        for frames in groups:
            frames.compare()
        swaps = [swap for frames in groups for match in frames.matches if (swap := self._confirm(match, read))]
        # In a pair that is mostly unmeasurable some frames match others by chance. If the frames of a whole batch are
        # mixed up, most of them find their reference.
        if registered_share >= 0.5 or len(swaps) >= sum(frames.count for frames in groups) / 2:
            self.swaps = swaps

    def _confirm(self, match: Match, read: Callable[[int], FrameFeatures]) -> tuple[int, int, float] | None:
        """Register the sensor's frame of one position to the reference's of another; None if they do not match."""
        own, other = read(match[0]), read(match[1])
        grid = own.grid(self.sensor)
        if grid is None or other.grid(self.sensor) != grid:
            return None
        surface = mean_correlation(other.spectra_of(other.reference, grid), own.spectra_of(self.sensor, grid))
        peak = find_peaks(surface, grid.reach)
        return (*match, float(peak.height[0])) if peak.reliability[0] >= self.settings.reliability else None

    def close(self) -> None:
        """End a sequence: register its pool and add it to the batch's."""
        while self._recent:
            self._record(self._recent.popleft())
        if self._is_continued:
            self._part.pieces.append(Piece(self._sequence, self._current))
            self._is_continued, self._current = False, Pools()
            return
        if (pool := self._current.largest) is None:
            return
        self.sequences.add({"sequence_number": self._sequence, **_columns_of(pool.register(self.settings))})
        for size, by_size in self._current.by_size.items():
            self.whole.add(by_size.total, size, by_size.frames)
        self._current = Pools()

    def part(self, is_continued: bool) -> PairPart:
        """End a shard and return what it contributes.

        Args:
            is_continued: whether the next shard continues the last sequence.
        """
        self._is_continued |= is_continued
        self.close()
        self._part.frames, self._part.sequences = self.frames.table(), self.sequences.table()
        return self._part

    def absorb(self, part: PairPart) -> None:
        """Add what the next shard contributes; `close` ends the last sequence."""
        for piece in part.pieces:
            if piece.sequence != self._sequence:
                self.close()
                self._sequence = piece.sequence
            for size, pool in piece.pools.by_size.items():
                self._current.add(pool.total, size, pool.frames)
        for size, pool in part.whole.by_size.items():
            self.whole.add(pool.total, size, pool.frames)
        for position, match, other in part.earlier:
            row = self._last.position == position
            if not (self._last.loc[row, "other_match"] >= match).any():
                self._last.loc[row, ["other_match", "other_position"]] = match, other
        self.frames.extend(part.frames)
        self.sequences.extend(part.sequences)
        self._last = part.frames
        for frame in part.unregistered:
            size = frame.size
            if size not in self._unregistered:
                drop_rarest_size(self._unregistered, {k: frames.count for k, frames in self._unregistered.items()})
            group = self._unregistered.setdefault(size, UnregisteredFrames(size[0]))
            group.add(frame.position, frame.reference, frame.sensor)


def _columns_of(registration: Registration) -> dict[str, float]:
    """Return the columns that one registration fills."""
    names = ("match", "reliability", "coverage", "certainty")
    columns: dict[str, float] = {name: getattr(registration, name) for name in names}
    if registration.shift is not None:
        columns["shift_y_px"], columns["shift_x_px"] = (float(v) for v in registration.shift)
        columns["corner_px"] = registration.corner_px
    if (field := registration.field) is not None:
        columns["scale_percent"], columns["rotation_deg"] = field.scale_percent, field.rotation_deg
        columns["corner_error_px"] = registration.corner_error_px
        displacements = field.at(image_corners(registration.size))
        columns |= dict(zip(CORNER_COLUMNS, map(float, displacements.ravel()), strict=True))
    return columns
