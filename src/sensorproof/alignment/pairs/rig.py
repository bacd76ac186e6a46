"""What the whole batch says of a pair: the rig's own bias, how exact the pair is, and which frames stand out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.pairs.pair_tracker import CORNERS, PairTracker
from sensorproof.alignment.registration.displacement_field import corners_of
from sensorproof.alignment.registration.tile_registration import SURE, Registration
from sensorproof.settings import ContentChecks

State = Literal["aligned", "misaligned", "unmeasurable"]
MIN_FRAMES = 10
"""Measured frames from which their scatter says how exact the pair is."""
_SHIFT_SCATTER = 5.0
"""Times the usual deviation of a frame's shift that is more than the scatter of sound frames."""
_CORNER_SCATTER = 4.0
"""The same of a certain field at the corners, whose scatter has shorter tails."""
_SAME = 0.95
"""Matches within this factor of each other are equally good."""
_NEARLY_ALL = 0.9
"""Share of a pair's frames that must be measurable for one that is not to be odd."""
BETTER, BETTER_THAN_CHANCE = 1.5, 1.2
"""A frame may be another's where it matches that one by this factor better than its own partner; the second where
its match with its own is mere chance."""
RIG_COLUMNS = (
    "measurable", "precision_px", "rig_corner_px", "rig_limit_px", "rig_warn_px", "rig_scale_percent",
    "rig_rotation_deg",
)  # fmt: skip
FRAME_COLUMNS = (
    "deviation_px", "deviation_limit_px", "corner_deviation_px", "corner_limit_px", "sequence_deviation_px",
    "sequence_limit_px", "swapped", "lost",
)  # fmt: skip


@dataclass(frozen=True)
class Rig:
    """A pair over the whole batch. `found` is None where no frame could be compared."""

    sensor: str
    found: Registration | None
    precision_px: float
    """Usual deviation of a single frame's shift from the others': the median; NaN below MIN_FRAMES."""
    compared: int
    """Frames that have both images."""
    measured: int
    """Frames that are measurable by themselves."""

    @property
    def corner_px(self) -> float:
        """How far the sensor is off in all frames alike, at the worst corner; NaN where unmeasurable."""
        return np.nan if self.found is None else self.found.corner_px

    @property
    def error_px(self) -> float:
        """Standard error of corner_px; zero where nothing tells it."""
        if self.found is None or self.found.shift is None:
            return 0.0
        error = self.found.corner_error_px
        if self.found.field is None:
            error = self.precision_px / np.sqrt(max(1, self.measured))
        return 0.0 if np.isnan(error) else float(error)

    def _limit_px(self, settings: ContentChecks) -> float:
        """From where on the rig is at fault: what is critical, or what can be told, whichever is more."""
        return max(settings.critical_px - settings.margin_px, SURE * self.error_px)

    def state(self, settings: ContentChecks) -> State:
        if self.found is None or self.found.shift is None:
            return "unmeasurable"
        if self.corner_px > self._limit_px(settings):
            return "misaligned"
        # A shift alone may show a fault, but not that there is none: the corners may be off by scale or rotation.
        return "unmeasurable" if self.found.field is None else "aligned"


def rig_of(tracker: PairTracker, settings: ContentChecks) -> Rig:
    """The pooled registration of a pair, and the scatter of its frames."""
    pool = tracker.whole.largest
    found = None if pool is None else pool.register(settings)
    frames = tracker.frames.table()
    shifts = frames[["shift_y_px", "shift_x_px"]].dropna().to_numpy(float)
    off = np.hypot(*(shifts - np.median(shifts, axis=0)).T) if len(shifts) else np.empty(0)
    return Rig(tracker.sensor, found, median_or_nan(off), len(frames), len(shifts))


def median_or_nan(deviations: NDArray[np.float64]) -> float:
    """The median of those that are known; NaN where they are too few to tell. Up to half may be at fault."""
    known = deviations[np.isfinite(deviations)]
    return float(np.median(known)) if len(known) >= MIN_FRAMES else np.nan


def pair_columns(tracker: PairTracker, rig: Rig, sequence: NDArray[np.int64], settings: ContentChecks) -> pd.DataFrame:
    """What compares the frames of a pair with the batch: position, pairs.COLUMNS and FRAME_COLUMNS.

    deviation_px is how far the whole frame's shift is from the rig's, corner_deviation_px how far its field, where
    that is certain, is from the rig's at the worst corner. Their limits are what is critical, or what is more than the
    scatter of the pair's frames. Where too few frames tell that, shifts are not judged (the limit is NaN), and fields
    by what is critical with the measure's error on top. lost is 1 where the frame is not measurable and NEARLY_ALL are.
    sequence_deviation_px is the same of the sequence's pool, which is judged in any case. swapped is 1 where the
    frame belongs to another frame's reference.

    Args:
        sequence: (N,) number of the sequence at each position.
    """
    table = tracker.frames.table()
    if table.empty:
        return table
    table["sensor"] = tracker.sensor
    critical = settings.critical_px - settings.margin_px
    table["deviation_px"] = _shift_deviation(table, rig)
    scatter = _SHIFT_SCATTER * rig.precision_px
    table["deviation_limit_px"] = np.maximum(critical, scatter)
    table["corner_deviation_px"] = _corner_deviation(table, rig)
    corner_scatter = _CORNER_SCATTER * median_or_nan(table.corner_deviation_px.to_numpy(float))
    few = np.fmax(settings.critical_px + settings.margin_px, scatter)
    table["corner_limit_px"] = few if np.isnan(corner_scatter) else max(critical, corner_scatter)
    odd = len(table) >= MIN_FRAMES and table.shift_y_px.notna().mean() >= _NEARLY_ALL
    table["lost"] = (table.shift_y_px.isna() & odd).astype(float)
    pools = tracker.sequences.table()
    # Where the rig's own scale and rotation are unknown, those of a sequence are nobody's deviation.
    whole = rig.found is not None and rig.found.field is not None
    deviation, exact_to = (_corner_deviation, corner_scatter) if whole else (_shift_deviation, scatter)
    pooled = pd.Series(deviation(pools, rig), index=pools.sequence_number)
    table["sequence_deviation_px"] = pooled.reindex(sequence[table.position.to_numpy(np.int64)]).to_numpy()
    table["sequence_limit_px"] = np.fmax(critical, exact_to)
    for position, other, match in tracker.swaps:
        table.loc[table.position == position, ["other_match", "other_position"]] = match, other
    table["swapped"] = swapped(table)
    return table


def rig_columns(rigs: Iterable[Rig], settings: ContentChecks) -> pd.DataFrame:
    """What is the same in all frames of a pair: a row per sensor, with RIG_COLUMNS. Pairs without a shift abstain."""
    rows = []
    for rig in rigs:
        known = rig.found is not None and rig.found.shift is not None
        field = rig.found.field if known and rig.found else None
        numbers = (
            float(rig.state(settings) != "unmeasurable"),
            rig.precision_px,
            rig.corner_px,
            rig._limit_px(settings) if known else np.nan,
            max(settings.warn_px, SURE * rig.error_px) if rig.state(settings) != "unmeasurable" else np.nan,
            np.nan if field is None else field.scale_percent,
            np.nan if field is None else field.rotation_deg,
        )
        rows.append({"sensor": rig.sensor, **dict(zip(RIG_COLUMNS, numbers, strict=True))})
    return pd.DataFrame(rows)


def _shift_deviation(frames: pd.DataFrame, rig: Rig) -> NDArray[np.float64]:
    """(n,) distance of the frames' shifts from the rig's, pixels; NaN where either is unmeasurable."""
    if rig.found is None or rig.found.shift is None:
        return np.full(len(frames), np.nan)
    return np.hypot(*(frames[["shift_y_px", "shift_x_px"]].to_numpy(float) - rig.found.shift).T)


def _corner_deviation(frames: pd.DataFrame, rig: Rig) -> NDArray[np.float64]:
    """(n,) largest distance at any corner of the frames' fields from the rig's, pixels; NaN where there is none."""
    if rig.found is None or rig.found.shift is None:
        return np.full(len(frames), np.nan)
    median_or_nan = rig.found.shift if rig.found.field is None else rig.found.field.at(corners_of(rig.found.size))
    fields = frames[list(CORNERS)].to_numpy(float).reshape(-1, 4, 2)
    return np.asarray(np.hypot(*np.moveaxis(fields - median_or_nan, 2, 0)).max(1))


def swapped(frames: pd.DataFrame) -> NDArray[np.float64]:
    """(n,) 1 where a frame clearly belongs to another one's reference, which has no better partner itself.

    So is the image of that other one, if it is lost: its own has just been found elsewhere.
    """
    own = frames.set_index("position").match
    rival = own.reindex(frames.other_position.to_numpy()).to_numpy(float)
    found = frames.other_match.to_numpy(float)
    factor = np.where(frames.shift_y_px.notna(), BETTER, BETTER_THAN_CHANCE)
    # A comparison with NaN is false: a frame that matches no other is not swapped.
    elsewhere = (found >= factor * frames.match.to_numpy(float)) & (found >= _SAME * rival)
    missing = frames.position.isin(frames.other_position[elsewhere]) & frames.shift_y_px.isna()
    return (elsewhere | missing.to_numpy()).astype(float)
