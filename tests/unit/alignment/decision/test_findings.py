"""From broken rules to findings: which frames are at fault, why a batch is refused, and what is only a warning."""

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.decision.findings import FAULT_COLUMNS, BatchFindings, collect_findings
from sensorproof.alignment.decision.rules import Rule
from sensorproof.documents.validation import DriftRecord

RULES = [
    Rule("deviation_px", "within", 0, "critical", "frame", "is displaced", other="deviation_limit_px"),
    Rule("saturated_share", "at_most", 0.5, "warning", "frame", "is mostly saturated"),
    Rule("time_unit", "at_most", 0, "critical", "batch", "times are not in seconds"),
    Rule("time_unit", "at_most", 0, "warning", "batch", "times are odd"),
]
DISPLACED, SATURATED, NOT_SECONDS, ODD_TIMES = range(4)
"""Numbers of the rules."""
DRIFT = DriftRecord(
    auc=0.95, effect=2.3, drifted=True, reason="looks different", frames=10, training_frames=10, strongest=()
)
DISPLACED_DEPTH = ("f0", "depth", "deviation_px")


def make_table(frames: int = 10) -> pd.DataFrame:
    """Rows of a camera (even labels) and a depth sensor (odd ones) that break every rule."""
    keys = pd.DataFrame([(f"f{k}", s) for k in range(frames) for s in ("camera", "depth")])
    keys.columns = pd.Index(["frame_id", "sensor"])
    measures = {"deviation_px": 4.0, "deviation_limit_px": 2.0, "saturated_share": 0.6, "time_unit": 1.0}
    return keys.assign(batch="b", reference="camera", fault="", **measures)


def findings(
    broken: list[tuple[int, int]],
    released: dict[tuple[str, str, str], tuple[float, float]] | None = None,
    drift: DriftRecord | None = None,
    changes: dict | None = None,
) -> BatchFindings:
    """Findings by (rule, row) pairs that are broken."""
    table = pd.DataFrame(broken, columns=["rule", "row"]).astype(int)
    settings = checks().model_copy(update=changes or {})
    return collect_findings(make_table(), RULES, table, released or {}, drift, settings)


def test_a_fault_has_its_measure_value_and_threshold() -> None:
    result = findings([(DISPLACED, 1)])
    assert result.faults[FAULT_COLUMNS].to_numpy().tolist() == [
        ["b", "f0", "depth", "deviation_px", 4.0, 2.0, "depth is displaced"]
    ]
    assert (result.reasons, result.warnings) == ((), ())


def test_warnings_are_counted_and_are_no_faults() -> None:
    result = findings([(SATURATED, 1), (SATURATED, 3)])
    assert result.faults.empty
    assert result.warnings == ("depth: is mostly saturated in 2 frames (saturated_share)",)


def test_a_critical_rule_on_the_batch_is_a_reason_to_refuse_it() -> None:
    result = findings([(NOT_SECONDS, 1)])
    assert result.reasons == ("depth: times are not in seconds (time_unit 1, limit 0)",)


def test_a_reason_to_refuse_is_not_a_warning_too() -> None:
    result = findings([(ODD_TIMES, 0), (ODD_TIMES, 1), (NOT_SECONDS, 1)])
    assert result.reasons == ("depth: times are not in seconds (time_unit 1, limit 0)",)
    assert result.warnings == ("camera: times are odd (time_unit 1, limit 0)",)


@pytest.mark.parametrize(("frames", "refused"), [(2, False), (3, True)])
def test_a_batch_with_more_than_a_fifth_of_faulty_frames_is_refused(frames: int, refused: bool) -> None:
    result = findings([(DISPLACED, 2 * k + 1) for k in range(frames)])
    assert bool(result.reasons) == refused
    if refused:
        assert "3 of 10 frames are at fault, more than 20 %" in result.reasons[0]


def test_released_frames_do_not_count() -> None:
    broken = [(DISPLACED, 1), (DISPLACED, 3), (DISPLACED, 5)]
    result = findings(broken, released={DISPLACED_DEPTH: (4.0, 2.0)})
    assert result.faults.released.tolist() == [True, False, False]
    assert result.reasons == ()


@pytest.mark.parametrize(
    ("released_value", "holds"), [(4.0, True), (3.5, True), (-4.0, True), (3.2, False), (np.nan, True)]
)
def test_a_release_holds_until_the_fault_is_notably_worse(released_value: float, holds: bool) -> None:
    """The deviation is 4 px, its limit 2 px."""
    result = findings([(DISPLACED, 1)], released={DISPLACED_DEPTH: (released_value, 2.0)})
    assert result.faults.released.tolist() == [holds]


def test_a_frame_with_several_faults_counts_once() -> None:
    assert findings([(DISPLACED, row) for row in range(4)]).reasons == ()


@pytest.mark.parametrize(("severity", "refused"), [("warning", False), ("critical", True)])
def test_drift_is_a_warning_or_a_refusal_by_the_settings(severity: str, refused: bool) -> None:
    drift = checks().drift.model_copy(update={"severity": severity})
    result = findings([], drift=DRIFT, changes={"drift": drift})
    assert (result.reasons == ("looks different",)) == refused
    assert (result.warnings == ("looks different",)) == (not refused)
