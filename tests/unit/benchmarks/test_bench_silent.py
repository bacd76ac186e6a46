"""The table and the goals of `sensorproof bench silent`."""

from helpers.evaluations import make_silent
from sensorproof.benchmarks.silent import goals, table


def test_each_failure_has_a_row_and_a_shortfall_beyond_the_goal_stands_out() -> None:
    lines = table(make_silent(alarms=2)).splitlines()
    assert lines[0] == "All sensors sound: 55.0 without the monitor, 54.9 with it."
    assert "| camera | black | 50.0 | 40.0 | 50.0 | +0.0 | 100 % |" in lines
    assert "| depth | shifted | 50.0 | 45.0 | 48.5 | **+1.5** | 50 % |" in lines
    assert lines[-2:] == ["| day | 60 | 2 |", "| night | 40 | 0 |"]


def test_each_goal_is_a_sentence() -> None:
    assert list(goals(make_silent(alarms=2), 0.234)) == [
        "At most 1 point below the better of absent and kept: 2 of 4 cases; worst +1.5 (camera, shifted).",
        "Sound frames lose 0.10 points (goal: at most 0.2).",
        "False alarms: 2 of 100 images, 0.0200 (goal: 0.001).",
        "Time: 23 % of the model's own (goal: at most 30 %).",
    ]


def test_no_image_is_no_division_by_zero() -> None:
    sentences = list(goals(make_silent().model_copy(update={"conditions": {}}), 0.1))
    assert sentences[2] == "False alarms: 0 of 0 images, 0.0000 (goal: 0.001)."
