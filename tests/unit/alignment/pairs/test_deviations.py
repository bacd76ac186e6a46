"""Frames of a pair against the whole batch."""

import numpy as np
import pytest

from helpers.registrations import CERTAIN_FIELD, make_rig
from helpers.synthetic_scenes import checks
from sensorproof.alignment.corners import CORNER_COLUMNS
from sensorproof.alignment.pairs.deviations import frame_columns
from sensorproof.alignment.pairs.pair_tracker import PairTracker

CONTENT = checks().content
ONE_SEQUENCE = np.zeros(1, np.int64)


@pytest.mark.parametrize(("certain", "deviation"), [(True, 3.0 * np.sqrt(2)), (False, 0.1)])
def test_the_scale_of_a_sequence_is_no_deviation_if_the_rigs_is_unknown(certain: bool, deviation: float) -> None:
    tracker = PairTracker("other", CONTENT)
    shift = {"shift_y_px": 0.0, "shift_x_px": 0.1}
    tracker.frames.add({"position": 0, "match": 0.5} | shift)
    tracker.sequences.add({"sequence_number": 0} | shift | dict.fromkeys(CORNER_COLUMNS, 3.0))
    rig = make_rig((0.0, 0.0), CERTAIN_FIELD if certain else None)
    table = frame_columns(tracker, rig, ONE_SEQUENCE, CONTENT)
    assert table.sequence_deviation_px.iloc[0] == pytest.approx(deviation)


@pytest.mark.parametrize(("certain", "limit"), [(True, 2.0), (False, 5 * 1.2)])
def test_the_shift_of_a_sequence_may_scatter_like_the_pairs_frames(certain: bool, limit: float) -> None:
    tracker = PairTracker("other", CONTENT)
    tracker.frames.add({"position": 0, "match": 0.5, "shift_y_px": 0.0, "shift_x_px": 2.6})
    tracker.sequences.add({"sequence_number": 0, "shift_y_px": 0.0, "shift_x_px": 2.6})
    rig = make_rig((0.0, 0.0), CERTAIN_FIELD if certain else None, precision_px=1.2)
    table = frame_columns(tracker, rig, ONE_SEQUENCE, CONTENT)
    assert table.sequence_limit_px.iloc[0] == pytest.approx(limit)
