"""The sentence at the top of the report fits the figures and the gates."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.evaluations import PROMOTION, evaluation_of_gain
from sensorproof.evaluation.gates import evaluate_gates, is_promoted
from sensorproof.reporting.summary import summarize

finite = st.floats(-30, 30)


@pytest.mark.parametrize(
    ("figures", "state", "sentence"),
    [
        (
            (3.1, 1.94, 4.26),
            "yes",
            "Averaged over all 3 sensor subsets it scores 3.1 points more than the baseline "
            "(95\xa0% interval +1.9 to +4.3, 3 seeds).",
        ),
        ((0.8, -0.4, 2.0), "unproven", "but the 95\xa0% interval over 3 seeds is −0.4 to +2.0, so it may be chance."),
        ((-0.8, -2.0, 0.4), "no", "it scores 0.8 points less than the baseline"),
        ((3.1, 1.9, 4.3, -1.8), "no", "With all sensors it loses 1.8 points; at most 1.0 may be lost."),
        ((0.8, -0.4, 2.0, -1.8), "no", "so it may be chance. With all sensors it loses 1.8 points"),
        ((3.1, None, None, 0.5, 1), "unproven", "3.1 points more than the baseline, but on one seed, which gives no"),
        ((0.01, -1.0, 1.0), "unproven", "it scores the same as the baseline"),
        ((math.nan, 1.0, 2.0), "none", "gain.mean.value is nan"),
    ],
)
def test_the_answer_fits_the_figures(figures: tuple, state: str, sentence: str) -> None:
    answer = summarize(evaluation_of_gain(*figures), PROMOTION, 0.95, True)
    assert answer.state == state
    assert sentence in answer.sentence


def test_the_answer_names_the_cost() -> None:
    evaluation = evaluation_of_gain(3.1, 1.9, 4.3)
    cost = summarize(evaluation, PROMOTION, 0.95, True).details[-1]
    assert "the same network of 348,967 parameters" in cost
    assert "1.6 times as long: 77 s a seed against 48 s" in cost
    assert "another network" in summarize(evaluation, PROMOTION, 0.95, False).details[-1]


def test_a_higher_bar_is_named() -> None:
    higher = PROMOTION.model_copy(update={"min_gain_baseline": 2.0})
    assert "above +2.0" in summarize(evaluation_of_gain(3.1, 1.9, 4.3), higher, 0.95, True).sentence
    asked = summarize(evaluation_of_gain(1.0, 0.5, 1.5), higher, 0.95, True).sentence
    assert "promotion asks for more than +2.0" in asked


def test_the_gates_are_shown_with_interval_and_note() -> None:
    lines = {line.title: line for line in summarize(evaluation_of_gain(3.1, 1.9, 4.3), PROMOTION, 0.95, True).gates}
    gain = lines["Gain in the mean over subsets, lower end of its interval"]
    assert (gain.value, gain.demand, gain.interval, gain.note) == ("+1.9", "above 0.0", "+1.9 to +4.3", "gain +3.10")
    worst = lines["Score with the worst subset"]
    assert (worst.value, worst.demand, worst.interval) == ("40.0", "at least 10.0", "+39.0 to +41.0")
    loss = lines["Largest loss of a site"]
    assert (loss.value, loss.demand) == ("0.0", "at most 5.0")
    assert loss.note == "largest for site 2; too few frames: rare site"
    assert all(line.passed for line in lines.values())


def test_other_gates_that_fail_are_named() -> None:
    strict = PROMOTION.model_copy(update={"min_worst": 50.0, "max_loss_full": 0.0})
    answer = summarize(evaluation_of_gain(3.1, 1.9, 4.3, -0.4), strict, 0.95, True)
    assert answer.state == "no"
    assert answer.sentence.endswith(
        "With all sensors it loses 0.4 points; at most 0.0 may be lost. "
        "It fails this gate: score with the worst subset."
    )


@given(finite, st.floats(0, 20), finite, st.floats(-2, 2), st.booleans())
def test_the_answer_is_yes_just_where_the_gates_pass(
    mean: float, half: float, full: float, min_gain: float, one_seed: bool
) -> None:
    ends = (None, None) if one_seed else (mean - half, mean + half)
    evaluation = evaluation_of_gain(mean, *ends, full, 1 if one_seed else 3)
    promotion = PROMOTION.model_copy(update={"min_gain_baseline": min_gain})
    answer = summarize(evaluation, promotion, 0.9, True)
    gates = evaluate_gates(evaluation, promotion, None)
    assert (answer.state == "yes") == is_promoted(gates)
    assert [line.passed for line in answer.gates] == [gate.passed for gate in gates]
    assert "95\xa0%" not in answer.sentence + "".join(answer.details)
