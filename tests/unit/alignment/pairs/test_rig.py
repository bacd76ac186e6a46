"""What a batch says of a pair: a shift alone shows a fault, but proves no alignment."""

import numpy as np
import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.decision.verdict import pair_verdict
from sensorproof.alignment.pairs.pair_tracker import CORNERS, PairTracker
from sensorproof.alignment.pairs.rig import Rig, pair_columns, rig_columns
from sensorproof.alignment.registration.displacement_field import Field
from sensorproof.alignment.registration.tile_registration import Registration

SIZE = (144.0, 192.0)
CONTENT = checks().content


FIELD = Field(np.zeros(2), np.zeros((2, 2)), np.diag([0.01, 0.01, 0, 0]), "similarity", 9)


def rig(shift: tuple[float, float] | None, found: Field | None, precision_px: float = 0.1) -> Rig:
    moved = None if shift is None else np.array(shift)
    registered = Registration(0.3, 90, 1, 3, moved, found, np.full((9, 2), np.nan), SIZE)
    return Rig("other", registered, precision_px, 20, 20)


@pytest.mark.parametrize(
    ("shift", "certain", "state", "word"),
    [
        ((0.1, 0.0), True, "aligned", "within"),
        ((0.1, 0.0), False, "unmeasurable", "scale and rotation are not"),
        ((4.0, 0.0), False, "misaligned", "4.00 px off"),
        (None, False, "unmeasurable", "too little in common"),
    ],
)
def test_a_shift_alone_shows_a_fault_but_not_that_there_is_none(
    shift: tuple[float, float] | None, certain: bool, state: str, word: str
) -> None:
    found = rig(shift, FIELD if certain else None)
    assert found.state(CONTENT) == state
    assert word in pair_verdict(found, CONTENT).reason
    row = rig_columns([found], CONTENT).iloc[0]
    assert row.measurable == float(state != "unmeasurable")
    assert np.isfinite(row.rig_corner_px) == (shift is not None)


@pytest.mark.parametrize(("certain", "deviation"), [(True, 3.0 * np.sqrt(2)), (False, 0.1)])
def test_a_sequences_scale_is_no_deviation_where_the_rigs_is_unknown(certain: bool, deviation: float) -> None:
    tracker = PairTracker("other", CONTENT)
    shift = {"shift_y_px": 0.0, "shift_x_px": 0.1}
    tracker.frames.add({"position": 0, "match": 0.5} | shift)
    tracker.sequences.add({"sequence_number": 0} | shift | dict.fromkeys(CORNERS, 3.0))
    found = rig((0.0, 0.0), FIELD if certain else None)
    table = pair_columns(tracker, found, np.zeros(1, np.int64), CONTENT)
    assert table.sequence_deviation_px.iloc[0] == pytest.approx(deviation)


@pytest.mark.parametrize(("certain", "limit"), [(True, 2.0), (False, 5 * 1.2)])
def test_a_sequences_shift_may_scatter_as_the_pairs_frames_do(certain: bool, limit: float) -> None:
    tracker = PairTracker("other", CONTENT)
    tracker.frames.add({"position": 0, "match": 0.5, "shift_y_px": 0.0, "shift_x_px": 2.6})
    tracker.sequences.add({"sequence_number": 0, "shift_y_px": 0.0, "shift_x_px": 2.6})
    found = rig((0.0, 0.0), FIELD if certain else None, precision_px=1.2)
    table = pair_columns(tracker, found, np.zeros(1, np.int64), CONTENT)
    assert table.sequence_limit_px.iloc[0] == pytest.approx(limit)
