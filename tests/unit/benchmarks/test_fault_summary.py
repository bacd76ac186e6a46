"""The table of injected faults: pairs are summed, critical sizes have rows of their own, misses are named."""

from dataclasses import replace

from sensorproof.benchmarks.fault_summary import goals, summary
from sensorproof.benchmarks.faults import Outcome

NONE = Outcome("a", "none", "50 frames", "depth", None, False, 0, 0, 0, 0, 50, 1, None)
ROTATED = Outcome("a", "rotation", "1 deg", "depth", 1.8, False, 10, 9, 4, 2, 40, 0, None)
CRITICAL = replace(ROTATED, batch="b", corner_px=3.6, critical=True, measurable=10, abstained=1, found=9)
MISSED = replace(CRITICAL, sensor="thermal", corner_px=4.3, found=7, false_alarms=3)
SHIFTED = Outcome("a", "shift", "3 px", "depth", 3.0, True, 10, 8, 0, 8, 40, 0, 0.126)
INEXACT = replace(SHIFTED, sensor="thermal", error_px=0.31)
LATE = Outcome("a", "clock offset", "1.5 x tolerance", "depth", None, True, 50, 50, 0, 50, 0, 0, None)
RIG = Outcome("a", "shift of the rig", "3 px", "depth", 3.0, True, 1, 1, 0, 1, 0, 0, 0.9)
ALL = [NONE, ROTATED, CRITICAL, MISSED, SHIFTED, INEXACT, LATE, RIG]


def test_pairs_are_summed_and_critical_sizes_have_their_own_rows() -> None:
    assert summary(ALL).splitlines()[2:7] == [
        "| rotation | 1 deg | 1.8 | 2 of 5 | 4 | 0 |  |",
        "| **rotation** | 1 deg | 3.6–4.3 | 16 of 18 | 2 | 3 |  |",
        "| **shift** | 3 px | 3.0 | 16 of 16 | 0 | 0 | 0.31 |",
        "| **clock offset** | 1.5 x tolerance |  | 50 of 50 | 0 | 0 |  |",
        "| **shift of the rig** | 3 px | 3.0 | 1 of 1 | 0 | 0 | 0.90 |",
    ]


def test_goals_name_every_miss_and_count_images_timestamps_and_rigs() -> None:
    detection, missed, false_alarms, error = goals(ALL)
    assert detection == (
        "Critical faults found: 32 of 34 (94.12 %) in images, 50 of 50 (100.00 %) in timestamps, "
        "1 of 1 (100.00 %) in rigs. Unmeasurable with the fault: 2 images, 0 rigs."
    )
    assert missed == "Missed: b thermal, rotation 1 deg: 2."
    assert false_alarms == (
        "False alarms in fault-free batches: 1 in 50 frames (50 pairs of a frame and a sensor): a depth 1; "
        "in batches with faults: 3 in 200 pairs without a fault: b thermal 3."
    )
    assert error == (
        "90th percentile of the shift's error: at most 0.25 px in 1 of 2 pairs and sizes; "
        "worst 0.31 px (a thermal, 3 px)."
    )


def test_no_miss_is_stated() -> None:
    assert goals([NONE, CRITICAL])[1] == "Missed: none."
