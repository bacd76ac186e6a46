"""Scores of silent failures: what follows from them, and that documents of earlier versions stay as they are."""

import json
from pathlib import Path

import pytest

from helpers.evaluations import make_arm, make_silent
from sensorproof.documents import ArmSummary
from sensorproof.documents.silent import FailureScores, FalseAlarms, SensorFailures, SilentScores
from sensorproof.errors import SensorproofError


@pytest.mark.parametrize(
    ("absent", "kept", "monitored", "shortfall"),
    [(50.0, 40.0, 50.0, 0.0), (50.0, 40.0, 45.0, 5.0), (40.0, 50.0, 45.0, 5.0), (40.0, 50.0, 51.0, -1.0)],
)
def test_the_shortfall_is_below_the_better_of_absent_and_kept(
    absent: float, kept: float, monitored: float, shortfall: float
) -> None:
    own = FailureScores(kept=kept, monitored=monitored, noticed=0.5)
    assert SensorFailures(absent=absent, failures={"dark": own}).shortfall("dark") == pytest.approx(shortfall)


def test_figures_follow_from_the_scores() -> None:
    silent = make_silent(alarms=3)
    assert silent.false_alarms == FalseAlarms(alarms=3, images=100)
    assert silent.mean == pytest.approx((50.0 + 48.5) / 2)
    assert silent.loss == pytest.approx(0.1)
    assert silent.worst[1] == "shifted"
    assert silent.worst[2] == pytest.approx(1.5)


def test_the_worst_failure_is_named_with_its_sensor() -> None:
    sensors = dict(make_silent().sensors)
    black = FailureScores(kept=10.0, monitored=20.0, noticed=0.1)
    sensors["depth"] = sensors["depth"].model_copy(update={"failures": {"black": black}})
    silent = make_silent().model_copy(update={"sensors": sensors})
    assert silent.worst == ("depth", "black", 30.0)
    assert silent.mean == pytest.approx((50.0 + 48.5 + 20.0) / 3)


def test_without_a_condition_there_is_no_false_alarm() -> None:
    silent = make_silent().model_copy(update={"conditions": {}})
    assert silent.false_alarms == FalseAlarms(alarms=0, images=0)


def test_scores_are_written_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "silent.json"
    make_silent(1.0, 2).write(path)
    assert SilentScores.read(path) == make_silent(1.0, 2)
    document = json.loads(path.read_text())
    document["sensors"]["depth"]["failures"]["black"]["noticed"] = "often"
    with pytest.raises(SensorproofError, match=r"silent\.json: sensors\.depth\.failures\.black\.noticed"):
        SilentScores.parse(document, path)


def test_what_was_not_tried_is_not_written() -> None:
    tried = make_arm(0)
    assert tried.to_json()["silent"] == make_silent().to_json()
    assert ArmSummary.parse(tried.to_json(), "summary.json") == tried
    without = tried.model_copy(update={"silent": None})
    document = without.to_json()
    assert document == {key: value for key, value in tried.to_json().items() if key != "silent"}
    assert ArmSummary.parse(document, "summary.json") == without
