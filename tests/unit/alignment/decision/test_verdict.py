"""From broken rules to a verdict: who is set aside, what is refused, and that nothing unmeasured counts as aligned."""

import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_scenes import checks
from sensorproof.alignment.decision.rules import Rule, make_rules, suite_name
from sensorproof.alignment.decision.verdict import FAULT_COLUMNS, BatchFindings, BatchVerdict, decide, pair_states
from sensorproof.alignment.drift import Drift
from sensorproof.errors import RejectedError

FRAME = Rule("deviation_px", "within", 0, "critical", "frame", "is off", other="deviation_limit_px")
WARN = Rule("saturated_share", "at_most", 0.5, "warning", "frame", "is mostly saturated")
BATCH = Rule("time_unit", "at_most", 0, "critical", "batch", "times are not in seconds")
NEAR = Rule("time_unit", "at_most", 0, "warning", "batch", "times are odd")
RULES = [FRAME, WARN, BATCH, NEAR]
DRIFT = Drift(0.95, 2.3, True, "looks different", 10, 10, ())


def table(frames: int = 10) -> pd.DataFrame:
    rows = [(f"f{k}", s) for k in range(frames) for s in ("camera", "depth")]
    found = pd.DataFrame(rows, columns=["frame_id", "sensor"])
    measures = {"deviation_px": 4.0, "deviation_limit_px": 2.0, "saturated_share": 0.6, "time_unit": 1.0}
    return found.assign(batch="b", reference="camera", fault="", **measures)


def decided(
    broken: list[tuple[int, int]],
    released: dict[tuple[str, str, str], tuple[float, float]] | None = None,
    drift: Drift | None = None,
    changes: dict | None = None,
) -> BatchFindings:
    found = pd.DataFrame(broken, columns=["rule", "row"]).astype(int)
    return decide(table(), RULES, found, released or {}, drift, checks().model_copy(update=changes or {}))


def test_a_frame_at_fault_is_set_aside_with_measure_and_threshold() -> None:
    found = decided([(0, 1)])
    assert found.faults[FAULT_COLUMNS].to_numpy().tolist() == [
        ["b", "f0", "depth", "deviation_px", 4.0, 2.0, "depth is off"]
    ]
    assert (found.reasons, found.warnings) == ((), ())


def test_warnings_are_counted_and_quarantine_nothing() -> None:
    found = decided([(1, 1), (1, 3)])
    assert found.faults.empty
    assert found.warnings == ("depth: is mostly saturated in 2 frames (saturated_share)",)


def test_a_fault_of_the_rig_refuses_the_batch() -> None:
    found = decided([(2, 1)])
    assert found.reasons == ("depth: times are not in seconds (time_unit 1, limit 0)",)


def test_what_is_refused_is_not_warned_of_as_well() -> None:
    found = decided([(3, 0), (3, 1), (2, 1)])
    assert found.reasons == ("depth: times are not in seconds (time_unit 1, limit 0)",)
    assert found.warnings == ("camera: times are odd (time_unit 1, limit 0)",)


@pytest.mark.parametrize(("frames", "refused"), [(2, False), (3, True)])
def test_more_than_a_fifth_of_the_frames_refuses_the_batch(frames: int, refused: bool) -> None:
    found = decided([(0, 2 * k + 1) for k in range(frames)])
    assert bool(found.reasons) == refused
    if refused:
        assert "3 of 10 frames are at fault, more than 20 %" in found.reasons[0]


def test_released_frames_count_no_more() -> None:
    found = decided([(0, 1), (0, 3), (0, 5)], released={("f0", "depth", "deviation_px"): (4.0, 2.0)})
    assert found.faults.released.tolist() == [True, False, False]
    assert found.reasons == ()


@pytest.mark.parametrize(("then", "holds"), [(4.0, True), (3.5, True), (-4.0, True), (3.2, False), (np.nan, True)])
def test_a_release_holds_until_the_fault_is_notably_worse(then: float, holds: bool) -> None:
    """Now the frame is off by 4 px, the limit being 2."""
    found = decided([(0, 1)], released={("f0", "depth", "deviation_px"): (then, 2.0)})
    assert found.faults.released.tolist() == [holds]


def test_one_frame_at_fault_twice_is_one_frame() -> None:
    assert decided([(0, 0), (0, 1), (0, 2), (0, 3)]).reasons == ()


@pytest.mark.parametrize(("severity", "refused"), [("warning", False), ("critical", True)])
def test_drift_warns_unless_params_say_otherwise(severity: str, refused: bool) -> None:
    drift = checks().drift.model_copy(update={"severity": severity})
    found = decided([], drift=DRIFT, changes={"drift": drift})
    assert (found.reasons == ("looks different",)) == refused
    assert (found.warnings == ("looks different",)) == (not refused)


def verdict(quarantined: int, reasons: tuple[str, ...] = ()) -> BatchVerdict:
    faults = pd.DataFrame(columns=[*FAULT_COLUMNS, "released"]).astype({"released": bool})
    return BatchVerdict("b", "suite", 10, quarantined, 0, faults, reasons, (), (), None)


def test_exit_codes_follow_the_verdict() -> None:
    assert [verdict(0).exit_code, verdict(1).exit_code, verdict(1, ("why",)).exit_code] == [0, 3, 4]
    error = verdict(0, tuple(f"reason {k}" for k in range(7))).refusal()
    assert isinstance(error, RejectedError)
    assert "\n" not in str(error)
    assert "reason 4; and 2 more" in str(error)


def test_a_pair_that_cannot_be_measured_is_not_aligned() -> None:
    rows = table(2).assign(
        corner_deviation_px=[np.nan, 0.1, np.nan, np.nan], corner_limit_px=[np.nan, 2, np.nan, 2],
        rig_corner_px=0.2, rig_limit_px=2.0, reliability=99.0,
    )  # fmt: skip
    none, content = pd.DataFrame(columns=FAULT_COLUMNS), checks().content
    assert pair_states(rows, none, content).tolist() == ["", "aligned", "", "unmeasurable"]
    one = pd.DataFrame([["b", "f1", "depth", "swapped", 1, 0, ""]], columns=FAULT_COLUMNS)
    assert pair_states(rows, one, content).tolist() == ["", "aligned", "", "misaligned"]
    assert pair_states(rows.assign(rig_corner_px=2.5), none, content).tolist() == ["", "misaligned", "", "misaligned"]
    doubtful = rows.assign(corner_deviation_px=[np.nan, 1.6, np.nan, 1.4])
    assert pair_states(doubtful, none, content).tolist() == ["", "unmeasurable", "", "aligned"]


def test_the_suite_is_named_by_what_it_asks() -> None:
    other = checks().model_copy(update={"health": checks().health.model_copy(update={"saturated": 0.9})})
    assert suite_name(checks()) == suite_name(checks().model_copy())
    assert suite_name(other) != suite_name(checks())
    assert suite_name(other).split("-")[:2] == suite_name(checks()).split("-")[:2]
    elsewhere = checks().model_copy(update={"contact_sheet_frames": 1})
    assert suite_name(elsewhere) == suite_name(checks())


def test_every_rule_has_a_consequence_and_a_reason() -> None:
    rules = make_rules(checks())
    assert {(r.scope, r.severity) for r in rules} == {
        (s, v) for s in ("frame", "batch") for v in ("critical", "warning")
    }
    assert all(r.reason for r in rules)
    assert len({(r.column, r.severity, r.other) for r in rules}) == len(rules)
