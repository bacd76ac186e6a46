"""The bias of the rig in one pair over a whole batch, and how exact the pair is."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from sensorproof.alignment.measures.columns import column_names
from sensorproof.alignment.pairs.pair_tracker import PairTracker
from sensorproof.alignment.registration.displacement_field import Field
from sensorproof.alignment.registration.tile_registration import SIGNIFICANT, Registration
from sensorproof.alignment.sampling import median_or_nan
from sensorproof.settings import ContentChecks

State = Literal["aligned", "misaligned", "unmeasurable"]
MIN_FRAMES = 10
"""Measured frames from which their scatter says how exact the pair is."""


@dataclass(frozen=True)
class Rig:
    """A pair over the whole batch."""

    sensor: str
    registration: Registration | None
    """Of all frames together; None if no frame could be compared."""
    precision_px: float
    """Median deviation of a frame's shift from the others'; NaN for fewer than MIN_FRAMES frames."""
    compared: int
    """Frames that have both images."""
    measured: int
    """Frames that are measurable by themselves."""

    @property
    def corner_px(self) -> float:
        """Displacement of the worst corner that all frames share; NaN if unmeasurable."""
        return np.nan if self.registration is None else self.registration.corner_px

    @property
    def error_px(self) -> float:
        """Standard error of corner_px; zero if it is unknown."""
        if self.registration is None or self.registration.shift is None:
            return 0.0
        error = self.registration.corner_error_px
        if self.registration.field is None:
            error = self.precision_px / np.sqrt(max(1, self.measured))
        return 0.0 if np.isnan(error) else float(error)

    def limit_px(self, settings: ContentChecks) -> float:
        """Return the displacement above which the rig is at fault: critical and significant."""
        return max(settings.critical_px - settings.margin_px, SIGNIFICANT * self.error_px)

    def state(self, settings: ContentChecks) -> State:
        """Return whether the pair is aligned over the batch."""
        if self.registration is None or self.registration.shift is None:
            return "unmeasurable"
        if self.corner_px > self.limit_px(settings):
            return "misaligned"
        # A shift alone can show a fault but not exclude one: scale or rotation may displace the corners.
        return "unmeasurable" if self.registration.field is None else "aligned"

    def to_tree(self) -> dict[str, Any]:
        """Return plain values and arrays; see `cache.save_tree`."""
        return asdict(self)

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> "Rig":
        """Undo `to_tree`."""
        known = tree["registration"]
        if known is not None:
            field = None if known["field"] is None else Field(**known["field"])
            known = Registration(**{**known, "field": field, "size": tuple(known["size"])})
        return cls(**{**tree, "registration": known})


def measure_rig(tracker: PairTracker, settings: ContentChecks) -> Rig:
    """Register all frames of a pair together, and measure the scatter of its frames."""
    pool = tracker.whole.largest
    registration = None if pool is None else pool.register(settings)
    frames = tracker.frames.table()
    shifts = frames[["shift_y_px", "shift_x_px"]].dropna().to_numpy(float)
    deviation = np.hypot(*(shifts - np.median(shifts, axis=0)).T) if len(shifts) else np.empty(0)
    # A median, because up to half of the frames may be at fault.
    return Rig(tracker.sensor, registration, median_or_nan(deviation, MIN_FRAMES), len(frames), len(shifts))


def rig_columns(rigs: Iterable[Rig], settings: ContentChecks) -> pd.DataFrame:
    """Return what is the same in all frames of a pair: a row per sensor; NaN for pairs without a shift."""
    rows = []
    for rig in rigs:
        known = rig.registration is not None and rig.registration.shift is not None
        field = rig.registration.field if known and rig.registration else None
        measurable = rig.state(settings) != "unmeasurable"
        rows.append(
            {
                "sensor": rig.sensor,
                "measurable": float(measurable),
                "precision_px": rig.precision_px,
                "rig_corner_px": rig.corner_px,
                "rig_limit_px": rig.limit_px(settings) if known else np.nan,
                "rig_warn_px": max(settings.warn_px, SIGNIFICANT * rig.error_px) if measurable else np.nan,
                "rig_scale_percent": np.nan if field is None else field.scale_percent,
                "rig_rotation_deg": np.nan if field is None else field.rotation_deg,
            }
        )
    return pd.DataFrame(rows, columns=["sensor", *column_names("rig")])
