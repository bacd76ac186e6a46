import pytest

from helpers.search import make_trial
from sensorproof.errors import SensorproofError
from sensorproof.searching.choice import choose, close_trials, pareto_front
from sensorproof.settings import ChoiceSettings

RULE = ChoiceSettings(maximize="mean", tolerance=0.5)
FRONT = [make_trial(0, 60.0, 40.0), make_trial(1, 59.6, 45.0), make_trial(2, 59.4, 47.0), make_trial(3, 59.0, 44.0)]


def test_the_front_has_what_no_other_beats() -> None:
    assert [trial.number for trial in pareto_front(FRONT)] == [0, 1, 2]
    alike = [make_trial(0, 50.0, 40.0), make_trial(1, 50.0, 40.0), make_trial(2, 50.0, 39.0)]
    assert [trial.number for trial in pareto_front(alike)] == [0, 1]


def test_the_rule_takes_the_best_mean_near_the_best_full_score() -> None:
    assert choose(FRONT, RULE).number == 1
    assert choose(FRONT, RULE.model_copy(update={"tolerance": 1.0})).number == 2
    assert choose(FRONT, RULE.model_copy(update={"tolerance": 0.0})).number == 0
    assert choose(FRONT, ChoiceSettings(maximize="full", tolerance=2.0)).number == 1


def test_a_trial_that_breaks_a_limit_is_not_chosen_unless_all_do() -> None:
    broken = [trial.model_copy(update={"violations": {"worst_subset": 2.0 - k}}) for k, trial in enumerate(FRONT[:2])]
    assert choose([*broken, FRONT[3]], RULE).number == 3
    assert choose(broken, RULE).number == 1


def test_a_trial_with_fewer_seeds_is_not_chosen() -> None:
    lucky = make_trial(9, 70.0, 70.0)
    sure = [trial.model_copy(update={"seeds": (0, 1)}) for trial in FRONT]
    assert choose([*sure, lucky], RULE).number == 1


def test_close_are_those_that_a_little_more_would_have_chosen() -> None:
    assert [trial.number for trial in close_trials(FRONT, RULE, 0.0)] == [1]
    assert [trial.number for trial in close_trials(FRONT, RULE, 1.0)] == [1, 2, 3]
    assert close_trials([FRONT[0].model_copy(update={"outcome": "pruned"})], RULE, 1.0) == []


def test_without_any_score_the_first_reason_is_given_in_one_line() -> None:
    failed = make_trial(0, 0.0, 0.0, outcome="failed", reason="training step 10: the loss is nan")
    with pytest.raises(
        SensorproofError, match=r"search: no trial of 1 ended with a score \(training step 10"
    ) as caught:
        choose([failed], RULE)
    assert "\n" not in str(caught.value)
