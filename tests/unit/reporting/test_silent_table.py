"""The report's table of silent failures and its sentences."""

import math

import pytest

from helpers.evaluations import make_arm, make_silent
from sensorproof.documents.silent import FailureScores, SensorFailures
from sensorproof.evaluation.failures import FAILURES
from sensorproof.reporting.silent_table import SilentRow, failure_title, silent_groups, silent_sentences


def test_every_failure_of_the_report_has_a_title() -> None:
    titles = {kind: failure_title(kind) for kind in FAILURES}
    assert len(set(titles.values())) == len(FAILURES)
    assert all("_" not in title for title in titles.values())


def test_a_sensor_has_a_row_for_each_failure() -> None:
    groups = silent_groups(make_silent())
    assert [(group.sensor, group.absent) for group in groups] == [("camera", 50.0), ("depth", 50.0)]
    for group in groups:
        assert group.rows == [
            SilentRow("black", kept=40.0, monitored=50.0, noticed=1.0, short=False),
            SilentRow("moved by an eighth", kept=45.0, monitored=48.5, noticed=0.5, short=True),
        ]


@pytest.mark.parametrize(("monitored", "short"), [(49.0, False), (48.99, True), (60.0, False), (math.nan, False)])
def test_a_row_is_short_by_more_than_a_point(monitored: float, short: bool) -> None:
    own = FailureScores(kept=30.0, monitored=monitored, noticed=0.0)
    sensors = {"lidar": SensorFailures(absent=50.0, failures={"hail": own})}
    (group,) = silent_groups(make_silent().model_copy(update={"sensors": sensors}))
    assert (group.rows[0].failure, group.rows[0].short) == ("hail", short)  # a name that no title knows stays


def test_without_scores_there_is_no_table_and_no_sentence() -> None:
    assert silent_groups(None) == []
    arm = make_arm(0).model_copy(update={"silent": None})
    assert silent_sentences({"baseline": arm}, "baseline") == []


def test_the_cost_of_the_worst_failure_is_put_in_words() -> None:
    arms = {"baseline": make_arm(0), "regularized": make_arm(2.0).model_copy(update={"silent": make_silent(2.0, 3)})}
    assert silent_sentences(arms, "regularized") == [
        "A sensor that fails without saying so costs the baseline model up to 15.0 points if it is believed, 6.5 with "
        "the monitor; the regularised model up to 15.0 points if it is believed, 6.5 with the monitor.",
        "While all sensors are sound, the monitor leaves out 3 of 100 images; the score is 56.9 with it and 57.0 "
        "without.",
    ]


def test_an_arm_that_was_not_tried_is_passed_over() -> None:
    arms = {"baseline": make_arm(0), "regularized": make_arm(2.0).model_copy(update={"silent": None})}
    (sentence,) = silent_sentences(arms, "regularized")
    assert "baseline" in sentence
    assert "regularised" not in sentence
