"""Log odds that two sensors show one scene, and how they are learnt."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorproof.monitoring.agreement import PairAgreement
from sensorproof.monitoring.fit import fit_agreement

Measures = NDArray[np.float64]
WEIGHTS = st.floats(0, 5)
MEASURES = st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=8)


def draw(edges: float, predictions: float, number: int = 200, seed: int = 0) -> Measures:
    """Measures around two means."""
    return np.random.default_rng(seed).normal((edges, predictions), 1.0, (number, 2))


@given(WEIGHTS, WEIGHTS, st.floats(-5, 5), MEASURES)
def test_odds_are_bounded_and_rise_with_each_measure(
    edges: float, predictions: float, constant: float, rows: list[tuple[float, float]]
) -> None:
    agreement = PairAgreement(edges=edges, predictions=predictions, constant=constant)
    measures = np.array(rows)
    odds = agreement.log_odds(measures)
    assert (np.abs(odds) <= 6).all()
    for more in ([1.0, 0.0], [0.0, 1.0]):
        assert (agreement.log_odds(measures + more) >= odds).all()


def test_odds_are_the_weighted_sum_of_the_measures() -> None:
    agreement = PairAgreement(edges=0.5, predictions=0.25, constant=-1.0)
    odds = agreement.log_odds(np.array([[4.0, 2.0], [0.0, 0.0], [100.0, 0.0], [-100.0, 0.0]]))
    np.testing.assert_allclose(odds, [1.5, -1.0, 6.0, -6.0])


def test_two_useful_measures_tell_scenes_apart() -> None:
    agreement = fit_agreement(draw(6, 6), draw(1, 1, 800, 1))
    assert min(agreement.edges, agreement.predictions) > 0
    assert agreement.log_odds(draw(6, 6, seed=2)).mean() > 3
    assert agreement.log_odds(draw(1, 1, seed=3)).mean() < -3
    between = agreement.log_odds(np.array([[3.5, 3.5]]))  # four times as many other pairs do not move the middle
    assert abs(between[0]) < 1


@pytest.mark.parametrize("useless", [0, 1])
def test_a_measure_that_falls_with_agreement_is_left_out(useless: int) -> None:
    means = np.full(2, 6.0)
    means[useless] = 0.0
    same, other = draw(*means), draw(1, 1, 800, 1)
    agreement = fit_agreement(same, other)
    weights = [agreement.edges, agreement.predictions]
    assert weights[useless] == 0
    assert weights[1 - useless] > 0
    assert agreement.log_odds(same).mean() > 3
    assert agreement.log_odds(other).mean() < -3


def test_measures_that_all_fall_with_agreement_say_nothing() -> None:
    assert fit_agreement(draw(0, 0), draw(4, 4, 800, 1)) == PairAgreement(edges=0, predictions=0, constant=0)


def test_measures_that_say_nothing_have_almost_no_weight() -> None:
    odds = fit_agreement(draw(1, 1), draw(1, 1, 800, 1)).log_odds(draw(1, 1, seed=2))
    assert np.abs(odds).mean() < 0.5


@pytest.mark.parametrize(("same", "other"), [(7, 800), (200, 7), (0, 0), (0, 800)])
def test_too_few_pairs_say_nothing(same: int, other: int) -> None:
    agreement = fit_agreement(draw(9, 9, same), draw(1, 1, other))
    assert agreement == PairAgreement(edges=0, predictions=0, constant=0)
    assert fit_agreement(draw(9, 9, 8), draw(1, 1, 8)).edges > 0


def test_measures_that_separate_scenes_wholly_or_never_change_are_no_trouble() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sure = fit_agreement(np.full((50, 2), 20.0), np.zeros((200, 2)))
        still = fit_agreement(np.zeros((50, 2)), np.zeros((200, 2)))
    assert sure.log_odds(np.array([[20.0, 20.0]]))[0] > 3
    assert still.log_odds(np.zeros((1, 2)))[0] == pytest.approx(0, abs=1e-6)
