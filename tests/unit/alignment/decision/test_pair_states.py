"""States of pairs: what cannot be measured never counts as aligned."""

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.decision.findings import FAULT_COLUMNS
from sensorproof.alignment.decision.pair_states import pair_record, pair_states
from sensorproof.alignment.pairs.rig import Rig

NO_FAULT = pd.DataFrame(columns=FAULT_COLUMNS)
CONTENT = checks().content


@pytest.fixture
def table() -> pd.DataFrame:
    """Two frames of a camera, the reference, and a depth sensor; the second depth image has no certain field."""
    rows = pd.DataFrame([(f"f{k}", s) for k in range(2) for s in ("camera", "depth")], columns=["frame_id", "sensor"])
    deviation = [np.nan, 0.1, np.nan, np.nan]
    return rows.assign(reference="camera", corner_deviation_px=deviation, rig_corner_px=0.2, rig_limit_px=2.0)


def test_a_pair_without_a_certain_field_is_unmeasurable(table: pd.DataFrame) -> None:
    assert pair_states(table, NO_FAULT, CONTENT).tolist() == ["", "aligned", "", "unmeasurable"]


def test_a_fault_of_the_frame_or_the_rig_makes_a_pair_misaligned(table: pd.DataFrame) -> None:
    swapped = pd.DataFrame([["b", "f1", "depth", "swapped", 1, 0, ""]], columns=FAULT_COLUMNS)
    assert pair_states(table, swapped, CONTENT).tolist() == ["", "aligned", "", "misaligned"]
    rig_at_fault = table.assign(rig_corner_px=2.5)
    assert pair_states(rig_at_fault, NO_FAULT, CONTENT).tolist() == ["", "misaligned", "", "misaligned"]


def test_a_deviation_above_half_of_the_critical_one_is_no_evidence(table: pd.DataFrame) -> None:
    doubtful = table.assign(corner_deviation_px=[np.nan, 1.6, np.nan, 1.4])
    assert pair_states(doubtful, NO_FAULT, CONTENT).tolist() == ["", "unmeasurable", "", "aligned"]


def test_a_pair_without_images_says_so() -> None:
    record = pair_record(Rig("depth", None, np.nan, 0, 0), CONTENT)
    assert (record.state, record.corner_px) == ("unmeasurable", None)
    assert record.reason == "no frame has both images in sufficient size"
