"""The frames of a pair against the whole batch: their deviation from the rig, and frames that are swapped."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.corners import CORNER_COLUMNS, image_corners
from sensorproof.alignment.pairs.pair_tracker import PairTracker
from sensorproof.alignment.pairs.rig import MIN_FRAMES, Rig
from sensorproof.alignment.sampling import median_or_nan
from sensorproof.settings import ContentChecks

_SHIFT_SCATTER = 5.0
"""Multiple of a shift's median deviation that fault-free frames do not exceed."""
_CORNER_SCATTER = 4.0
"""The same for a certain field at the corners, whose scatter has shorter tails."""
_EQUALLY_GOOD = 0.95
"""Two matches within this factor are equally good."""
_NEARLY_ALL = 0.9
"""If this share of a pair's frames is measurable, one that is not is conspicuous."""
_BETTER, _BETTER_THAN_CHANCE = 1.5, 1.2
"""A frame may belong to another reference if it matches that one better by this factor than its own. The second holds
if the match with its own reference is mere chance."""


def frame_columns(tracker: PairTracker, rig: Rig, sequence: NDArray[np.int64], settings: ContentChecks) -> pd.DataFrame:
    """Compare the frames of a pair with the whole batch.

    The limits of a deviation are what is critical, or what exceeds the scatter of the pair's own frames, whichever is
    larger. With too few frames to tell the scatter, shifts are not judged (their limit is NaN), and fields are judged
    by what is critical plus the error of the measure.

    Args:
        tracker: has seen all frames.
        rig: the same pair over the batch.
        sequence: (N,) number of the sequence at each position.
        settings: what is critical.

    Returns:
        A row per frame: position, sensor, the corners' displacements, and the measures of the groups "registration"
        and "deviation".
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
    corner_scatter = _CORNER_SCATTER * median_or_nan(table.corner_deviation_px.to_numpy(float), MIN_FRAMES)
    without_scatter = np.fmax(settings.critical_px + settings.margin_px, scatter)
    table["corner_limit_px"] = without_scatter if np.isnan(corner_scatter) else max(critical, corner_scatter)
    conspicuous = len(table) >= MIN_FRAMES and table.shift_y_px.notna().mean() >= _NEARLY_ALL
    table["unregistered"] = (table.shift_y_px.isna() & conspicuous).astype(float)
    pools = tracker.sequences.table()
    # If scale and rotation of the rig are unknown, those of a sequence are no deviation from it.
    has_field = rig.registration is not None and rig.registration.field is not None
    deviation, noise = (_corner_deviation, corner_scatter) if has_field else (_shift_deviation, scatter)
    of_sequence = pd.Series(deviation(pools, rig), index=pools.sequence_number)
    table["sequence_deviation_px"] = of_sequence.reindex(sequence[table.position.to_numpy(np.int64)]).to_numpy()
    table["sequence_limit_px"] = np.fmax(critical, noise)
    for position, other, match in tracker.swaps:
        table.loc[table.position == position, ["other_match", "other_position"]] = match, other
    table["swapped"] = _swapped(table)
    return table


def _shift_deviation(frames: pd.DataFrame, rig: Rig) -> NDArray[np.float64]:
    """Return the distance (n,) of the frames' shifts from the rig's, in pixels; NaN if either is unmeasurable."""
    if rig.registration is None or rig.registration.shift is None:
        return np.full(len(frames), np.nan)
    return np.hypot(*(frames[["shift_y_px", "shift_x_px"]].to_numpy(float) - rig.registration.shift).T)


def _corner_deviation(frames: pd.DataFrame, rig: Rig) -> NDArray[np.float64]:
    """Return the distance (n,) of the frames' fields from the rig's at the worst corner, in pixels; NaN without one."""
    registration = rig.registration
    if registration is None or registration.shift is None:
        return np.full(len(frames), np.nan)
    field = registration.field
    expected = registration.shift if field is None else field.at(image_corners(registration.size))
    displacements = frames[list(CORNER_COLUMNS)].to_numpy(float).reshape(-1, 4, 2)
    return np.asarray(np.hypot(*np.moveaxis(displacements - expected, 2, 0)).max(1))


def _swapped(frames: pd.DataFrame) -> NDArray[np.float64]:
    """Return 1 (n,) for frames that clearly belong to another frame's reference, which has no better match itself.

    The frame at that other position is swapped too if it is unregistered: its own image was just found elsewhere.
    """
    own_match = frames.set_index("position").match
    match_of_other = own_match.reindex(frames.other_position.to_numpy()).to_numpy(float)
    other_match = frames.other_match.to_numpy(float)
    factor = np.where(frames.shift_y_px.notna(), _BETTER, _BETTER_THAN_CHANCE)
    # A comparison with NaN is false: a frame that matches no other is not swapped.
    better = other_match >= factor * frames.match.to_numpy(float)
    elsewhere = better & (other_match >= _EQUALLY_GOOD * match_of_other)
    replaced = frames.position.isin(frames.other_position[elsewhere]) & frames.shift_y_px.isna()
    return (elsewhere | replaced.to_numpy()).astype(float)
