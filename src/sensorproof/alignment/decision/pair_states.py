"""The state of a pair, in every frame and over the batch: aligned, misaligned or unmeasurable."""

import numpy as np
import pandas as pd

from sensorproof.alignment.pairs.rig import MIN_FRAMES, Rig
from sensorproof.documents.validation import PairRecord
from sensorproof.settings import ContentChecks

_CONTENT_MEASURES = ("deviation_px", "corner_deviation_px", "sequence_deviation_px", "swapped")
"""Measures whose violation means that the images of a frame are not aligned."""


def pair_states(table: pd.DataFrame, faults: pd.DataFrame, settings: ContentChecks) -> pd.Series:
    """Return the state of each row's pair.

    A pair is aligned if its field is certain at the corners and deviates by at most half of what is critical. A shift
    alone can show a fault but not exclude one, and a deviation in between is no evidence for either.

    Args:
        table: the measures, a row per frame and sensor.
        faults: with frame_id, sensor and measure.
        settings: what is critical.

    Returns:
        aligned, misaligned or unmeasurable; empty for the reference itself.
    """
    content = faults[faults.measure.isin(_CONTENT_MEASURES)]
    at_fault = pd.MultiIndex.from_frame(table[["frame_id", "sensor"]]).isin(
        pd.MultiIndex.from_frame(content[["frame_id", "sensor"]])
    )
    misaligned = at_fault | (table.rig_corner_px > table.rig_limit_px).to_numpy()
    aligned = (table.corner_deviation_px <= settings.critical_px / 2).to_numpy()
    state = np.select([misaligned, aligned], ["misaligned", "aligned"], "unmeasurable")
    return pd.Series(np.where(table.sensor == table.reference, "", state), index=table.index)


def pair_record(rig: Rig, settings: ContentChecks) -> PairRecord:
    """Return the state of a pair over the whole batch, with its reason."""
    state = rig.state(settings)
    reason = {
        "aligned": f"within {rig.corner_px:.2f} px at the corners",
        "misaligned": f"{rig.corner_px:.2f} px off at a corner",
        "unmeasurable": _why_unmeasurable(rig),
    }[state]
    if unmeasured := rig.compared - rig.measured:
        reason += f"; {unmeasured} of {rig.compared} frames are unmeasurable by themselves"
    if 0 < rig.measured < MIN_FRAMES:
        reason += f"; {rig.measured} measured frames are too few to judge the shift of a single one"
    corner = None if state == "unmeasurable" else round(rig.corner_px, 3)
    return PairRecord(state=state, reason=reason, frames=rig.compared, measured=rig.measured, corner_px=corner)


def _why_unmeasurable(rig: Rig) -> str:
    """Return why a pair is unmeasurable."""
    if not rig.compared:
        return "no frame has both images in sufficient size"
    shift_is_known = rig.registration is not None and rig.registration.shift is not None
    return (
        "the shift is known, scale and rotation are not" if shift_is_known else "the images have too little in common"
    )
