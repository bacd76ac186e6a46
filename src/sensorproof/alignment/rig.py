"""What the whole batch says of a pair: the rig's own bias, how exact the pair is, and which frames stand out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sensorproof.alignment.affine import Field
from sensorproof.alignment.pairs import PairTracker
from sensorproof.alignment.registration import Registration
from sensorproof.settings import ContentChecks

MIN_FRAMES = 5
"""Measured frames from which their scatter says how exact the pair is."""
SWAP_MARGIN = 1.15
"""A frame is another's where it matches that one better than its own partner by this factor."""


@dataclass(frozen=True)
class Rig:
    """A pair over the whole batch. `found` is None where no frame could be compared."""

    found: Registration | None
    precision_px: float
    """Standard deviation of the frames' shifts (from their median absolute deviation), NaN below MIN_FRAMES."""
    frames: int
    """Frames that are measurable by themselves."""

    @property
    def field(self) -> Field | None:
        return None if self.found is None else self.found.field


def rig_of(tracker: PairTracker, settings: ContentChecks) -> Rig:
    """The pooled registration of a pair, and the scatter of its frames."""
    found = None if tracker.whole is None else tracker.whole.register(settings)
    shifts = np.array([f.field.shift for f in tracker.found.values() if f.field is not None]).reshape(-1, 2)
    precision = np.nan
    if len(shifts) >= MIN_FRAMES:
        off = np.abs(shifts - np.median(shifts, axis=0))
        precision = 1.4826 * float(np.hypot(*np.median(off, axis=0)))
    return Rig(found, precision, len(shifts))


def is_exact(rig: Rig, settings: ContentChecks) -> bool:
    """Whether single frames of the pair can be judged: their usual scatter stays well inside what is critical."""
    return not 3 * rig.precision_px > settings.critical_px - settings.margin_px


def add_rig(table: pd.DataFrame, trackers: dict[str, PairTracker], settings: ContentChecks) -> dict[str, Rig]:
    """Fill the columns that compare frames with the batch; returns each pair's rig.

    rig_*: the batch's pooled registration. deviation_px: largest corner difference between a frame's field and the
    rig's. sequence_deviation_px: the same for the sequence's pool. expected_match: median of near_match in the
    sequence. Pairs that are not exact enough to judge single frames keep NaN: they abstain.
    """
    rigs = {}
    columns = ["rig_corner_px", "rig_scale_percent", "rig_rotation_deg", "precision_px", "deviation_px"]
    table[[*columns, "sequence_deviation_px", "swapped"]] = np.nan
    for sensor, tracker in trackers.items():
        rig = rigs[sensor] = rig_of(tracker, settings)
        rows = table.index[(table.sensor == sensor) & table["match"].notna()]
        if rig.found is None or not len(rows):
            continue
        table.loc[rows, "precision_px"] = rig.precision_px
        if rig.field is not None:
            slack = 0.0 if np.isnan(rig.precision_px) or is_exact(rig, settings) else rig.precision_px
            table.loc[rows, "rig_corner_px"] = max(0.0, rig.found.corner_px - slack)
            table.loc[rows, "rig_scale_percent"] = rig.field.scale_percent
            table.loc[rows, "rig_rotation_deg"] = rig.field.rotation_deg
        if is_exact(rig, settings):
            positions = table.loc[rows, "position"]
            table.loc[rows, "deviation_px"] = [deviation(tracker.found[p], rig) for p in positions]
            by_sequence = {s: deviation(f, rig) for s, f in tracker.sequences.items()}
            numbers = pd.factorize(table.sequence)[0]
            table.loc[rows, "sequence_deviation_px"] = [by_sequence.get(n, np.nan) for n in numbers[rows]]
        part = table.loc[rows]
        table.loc[rows, "swapped"] = (part.other_match > SWAP_MARGIN * part.near_match).astype(float)
    return rigs


def deviation(found: Registration, rig: Rig) -> float:
    """Largest difference at any corner between a field and the rig's, pixels; a lone shift is compared by itself."""
    if found.field is None:
        return np.nan
    if rig.field is None:
        return found.corner_px
    if not found.field.matrix.any():
        return float(np.hypot(*(found.field.shift - rig.field.shift)))
    return float(np.hypot(*(found.field.corners(found.size) - rig.field.corners(found.size)).T).max())
