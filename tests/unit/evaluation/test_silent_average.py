"""Silent failures of one arm: the mean over its seeds, and the sum of its alarms."""

import pytest

from helpers.evaluations import make_silent
from sensorproof.evaluation.silent_average import average_silent


def test_scores_are_averaged_and_alarms_added_up() -> None:
    average = average_silent([make_silent(0.0, 1), make_silent(3.0, 2), make_silent(6.0, 4)])
    assert average is not None
    expected = make_silent(3.0)
    assert average.full == pytest.approx(expected.full)
    assert average.monitored == pytest.approx(expected.monitored)
    assert list(average.sensors) == list(expected.sensors)
    for name, sensor in average.sensors.items():
        assert sensor.absent == pytest.approx(expected.sensors[name].absent)
        assert list(sensor.failures) == list(expected.sensors[name].failures)
        for kind, own in sensor.failures.items():
            wanted = expected.sensors[name].failures[kind]
            assert (own.kept, own.monitored) == pytest.approx((wanted.kept, wanted.monitored))
            assert own.noticed == wanted.noticed
    counted = {name: (each.alarms, each.images) for name, each in average.conditions.items()}
    assert counted == {"day": (7, 180), "night": (0, 120)}


def test_one_seed_is_its_own_mean() -> None:
    assert average_silent([make_silent(2.0, 3)]) == make_silent(2.0, 3)


def test_an_arm_of_which_one_model_was_not_tried_has_no_scores() -> None:
    assert average_silent([make_silent(), None]) is None
    assert average_silent([None, None]) is None
    assert average_silent([]) is None
