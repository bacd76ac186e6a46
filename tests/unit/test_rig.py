"""What a batch says of a pair: a shift alone shows a fault, but proves no alignment."""

import numpy as np
import pytest

from scenes import checks
from sensorproof.alignment.affine import Field
from sensorproof.alignment.registration import Registration
from sensorproof.alignment.rig import Rig, rig_columns
from sensorproof.alignment.verdict import pair_verdict

SIZE = (144.0, 192.0)
CONTENT = checks().content


FIELD = Field(np.zeros(2), np.zeros((2, 2)), np.diag([0.01, 0.01, 0, 0]), "similarity", 9)


def rig(shift: tuple[float, float] | None, found: Field | None) -> Rig:
    moved = None if shift is None else np.array(shift)
    return Rig("other", Registration(0.3, 90, 1, 3, moved, found, np.full((9, 2), np.nan), SIZE), 0.1, 20, 20)


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
