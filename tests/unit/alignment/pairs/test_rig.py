"""A pair over the whole batch: a shift alone can show a fault, but not exclude one."""

import numpy as np
import pytest

from helpers.registrations import CERTAIN_FIELD, make_rig
from helpers.synthetic_scenes import checks
from sensorproof.alignment.decision.pair_states import pair_record
from sensorproof.alignment.measures.columns import column_names
from sensorproof.alignment.pairs.rig import rig_columns

CONTENT = checks().content


@pytest.mark.parametrize(
    ("shift", "certain", "state", "words"),
    [
        ((0.1, 0.0), True, "aligned", "within"),
        ((0.1, 0.0), False, "unmeasurable", "scale and rotation are not"),
        ((4.0, 0.0), False, "misaligned", "4.00 px off"),
        (None, False, "unmeasurable", "too little in common"),
    ],
)
def test_a_shift_alone_can_show_a_fault_but_not_exclude_one(
    shift: tuple[float, float] | None, certain: bool, state: str, words: str
) -> None:
    rig = make_rig(shift, CERTAIN_FIELD if certain else None)
    assert rig.state(CONTENT) == state
    assert words in pair_record(rig, CONTENT).reason
    columns = rig_columns([rig], CONTENT)
    assert tuple(columns.columns) == ("sensor", *column_names("rig"))
    row = columns.iloc[0]
    assert row.measurable == float(state != "unmeasurable")
    assert np.isfinite(row.rig_corner_px) == (shift is not None)
