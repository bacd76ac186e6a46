import numpy as np

from helpers.search import search_settings
from sensorproof.searching.pruning import Rung, goes_on, place_rungs
from sensorproof.settings import PruningSettings


def test_the_rungs_lie_within_the_first_fold_and_between_the_folds() -> None:
    settings = PruningSettings(first=0.1, reduction=3)
    assert place_rungs(100, 1, settings) == [Rung(0, 10), Rung(0, 30), Rung(0, 90)]
    assert place_rungs(100, 3, settings)[3:] == [Rung(0, 100), Rung(1, 100)]
    assert Rung(2, 30).total(100) == 230
    assert place_rungs(100, 3, search_settings().search.pruning.model_copy(update={"first": 1.0})) == []
    assert place_rungs(2, 1, settings) == [Rung(0, 1)]


def test_about_one_of_so_many_goes_on() -> None:
    rng = np.random.default_rng(0)
    earlier: list[float] = []
    passed = 0
    for score in rng.normal(size=300):
        passed += goes_on(score, earlier, 3)
        earlier.append(float(score))
    assert 90 < passed < 125


def test_the_best_goes_on_and_the_worst_does_not() -> None:
    assert goes_on(9.0, [1.0, 2.0, 3.0], 4)
    assert not goes_on(0.0, [1.0, 2.0, 3.0], 2)
