"""Shapley values of sensors, their intervals and their change; the tables by class, site and condition."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.paths import ROOT
from sensorproof.documents.contributions import SensorInformation
from sensorproof.documents.runs import ScoredRun, Scores
from sensorproof.evaluation.contributions import contributions_of_arms, empty_score, shapley_values
from sensorproof.evaluation.groups import group_scores
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.settings import load_settings

SENSORS = ("camera", "lidar", "Wärmebild")
NAMES = [subset_name(subset) for subset in all_subsets(SENSORS)]
SETTINGS = load_settings(ROOT / "params.yaml").model_copy(
    update={
        "promotion": load_settings(ROOT / "params.yaml").promotion.model_copy(
            update={"resamples": 200, "min_group_frames": 3}
        )
    }
)
scores = st.lists(st.floats(0, 100), min_size=len(NAMES), max_size=len(NAMES))


def in_all_orders(values: dict[str, float], empty: float) -> dict[str, float]:
    """The definition: the gain of each sensor when it joins, averaged over all orders."""
    gains: dict[str, list[float]] = {name: [] for name in SENSORS}
    for order in permutations(SENSORS):
        before = empty
        for place, name in enumerate(order):
            after = values[subset_name(order[: place + 1])]
            gains[name].append(after - before)
            before = after
    return {name: sum(own) / len(own) for name, own in gains.items()}


@given(values=scores, empty=st.floats(0, 100))
def test_values_are_those_of_the_definition_and_add_up(values: list[float], empty: float) -> None:
    by_name = dict(zip(NAMES, values, strict=True))
    found = shapley_values(by_name, empty, SENSORS)
    assert found == pytest.approx(in_all_orders(by_name, empty), abs=1e-9)
    assert sum(found.values()) == pytest.approx(by_name[subset_name(SENSORS)] - empty, abs=1e-9)


def test_a_sensor_that_changes_nothing_contributes_nothing() -> None:
    values = {name: 10.0 + 30.0 * ("camera" in name) for name in NAMES}
    assert shapley_values(values, 10.0, SENSORS) == pytest.approx({"camera": 30.0, "lidar": 0.0, "Wärmebild": 0.0})


def test_no_sensor_names_the_most_frequent_class() -> None:
    """60 of 100 pixels, so the IoU of that class is 60, and that of the other 0; a class never present counts not."""
    assert float(empty_score(np.array([60, 40, 0]))) == 30.0
    assert np.isnan(empty_score(np.array([0, 0])))


FRAMES = 8


def make_counts(levels: dict[str, float], noise: int = 0) -> PixelCounts:
    """Counts in which every frame and class has the IoU `levels` of the subset, in points; class 2 is never present.

    Frames 0 to 5 are at site 1; frames 0 and 1 have no condition.
    """
    rng = np.random.default_rng(noise)
    counts = np.zeros((FRAMES, len(NAMES), 3, 3), np.uint32)
    counts[:, :, :2, 1] = counts[:, :, :2, 2] = 10_000
    for place, name in enumerate(NAMES):
        share = levels[name] / 100
        right = 10_000 * 2 * share / (1 + share) + noise * rng.normal(0, 30, (FRAMES, 2))
        counts[:, place, :2, 0] = right.round()
    return PixelCounts(
        counts=counts,
        frames=tuple(f"b/{i}" for i in range(FRAMES)),
        sequences=tuple(f"s/{i}" for i in range(FRAMES)),
        sites=("Straße 1",) * 6 + ("Straße 2",) * 2,
        conditions=("",) * 2 + ("night",) * 6,
        sensors=tuple(sorted(SENSORS)),
        classes=("road", "car", "unicorn"),
        holdout="0",
    )


def run(arm: str, seed: int, information: float | None = None) -> ScoredRun:
    own = None
    if information is not None:
        own = {name: SensorInformation(information=information, relevance=0.5) for name in SENSORS}
    scores = Scores(full=50.0, mean=50.0, worst=50.0, spread=0.0, subsets={}, per_class={}, support={})
    return ScoredRun(**dict(scores), arm=arm, seed=seed, train_seconds=1.0, parameters=1, information=own)


LEVELS = {name: 20.0 + 10 * len(name.split("+")) + 20 * ("camera" in name) for name in NAMES}


def test_the_contribution_and_its_change_have_intervals_over_seeds_and_frames() -> None:
    better = {name: LEVELS[name] + 12 * ("lidar" in name) for name in NAMES}
    scored = [(run("baseline", seed, 10.0 + seed), make_counts(LEVELS, seed + 1)) for seed in range(3)]
    scored += [(run("regularized", seed, 20.0), make_counts(better, seed + 10)) for seed in range(3)]
    found = contributions_of_arms(scored, SETTINGS)
    baseline, regularized = found["baseline"], found["regularized"]
    # Naming one of two classes of one size everywhere is half right in the one and wrong in the other.
    assert baseline.empty == pytest.approx(25.0)
    total = sum(each.shapley.value for each in baseline.sensors.values())
    assert total == pytest.approx(LEVELS[subset_name(SENSORS)] - 25, abs=0.5)
    lidar = regularized.sensors["lidar"]
    assert lidar.change is not None
    assert lidar.change.value == pytest.approx(12, abs=1)
    low, high = lidar.change.interval
    assert low is not None
    assert high is not None
    assert low < 12 < high
    assert all(each.change is None for each in baseline.sensors.values())
    information = baseline.sensors["camera"].information
    assert information is not None
    assert (information.mean, information.std) == pytest.approx((11.0, 1.0))


def test_one_seed_has_no_interval() -> None:
    scored = [(run("baseline", 0), make_counts(LEVELS)), (run("regularized", 0), make_counts(LEVELS))]
    found = contributions_of_arms(scored, SETTINGS)
    for own in found["regularized"].sensors.values():
        assert own.shapley.interval == (None, None)
        assert own.change is not None
        assert own.change.interval == (None, None)
        assert own.information is None
        assert "information" not in own.to_json()


def test_without_a_baseline_there_is_no_change() -> None:
    found = contributions_of_arms([(run("regularized", s), make_counts(LEVELS, s + 1)) for s in range(2)], SETTINGS)
    assert all(own.change is None for own in found["regularized"].sensors.values())


def test_groups_say_what_they_rest_on() -> None:
    tables = group_scores([make_counts(LEVELS, 1), make_counts(LEVELS, 2)], min_frames=3)
    assert set(tables.sites) == {"Straße 1", "Straße 2"}
    first, second = tables.sites["Straße 1"], tables.sites["Straße 2"]
    assert (first.frames, first.small) == (6, False)
    assert (second.frames, second.small) == (2, True)  # two frames are too few, and that is said
    assert second.full is not None
    assert second.full.mean == pytest.approx(LEVELS[subset_name(SENSORS)], abs=3)
    assert tables.conditions["(none)"].small
    road = tables.classes["road"]
    assert road.mean is not None
    assert road.pixels == 10_000 * FRAMES
    assert road.mean.mean == pytest.approx(np.mean(list(LEVELS.values())), abs=2)


def test_a_class_that_is_never_present_has_no_score() -> None:
    unicorn = group_scores([make_counts(LEVELS)], min_frames=3).classes["unicorn"]
    assert (unicorn.frames, unicorn.pixels, unicorn.small) == (0, 0, True)
    assert unicorn.mean is None
    assert unicorn.full is None
