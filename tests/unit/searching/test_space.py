from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.search import search_settings
from sensorproof.documents import ArmSettings
from sensorproof.searching.space import (
    Dimension,
    Interval,
    contains,
    dimensions,
    given_settings,
    propose,
    to_settings,
    to_values,
)
from sensorproof.settings import RegularizerSettings, Settings

WIDE: dict[str, Any] = {
    "strength": {"prediction": [0.02, 0.6], "stage4": [0.001, 0.1]},
    "scales": [["prediction"], ["prediction", "stage4"]],
    "modality_dropout": [0.0, 0.5],
    "class_balance": [0.0, 1.0],
    "learning_rate": [0.003, 0.03],
    "standardize": {"depth": ["dataset", "frame"], "camera": ["frame"]},
}


def changed(settings: Settings, **regularizer: Any) -> ArmSettings:
    own = given_settings(settings)
    return own.model_copy(update={"regularizer": own.regularizer.model_copy(update=regularizer)})


def test_what_has_one_choice_is_no_dimension() -> None:
    assert list(dimensions(search_settings().search.space, "prediction")) == [
        Interval("strength.prediction", 0.02, 0.6, log=True)
    ]


@given(st.data())
def test_a_point_and_its_settings_stand_for_each_other(data: st.DataObject) -> None:
    settings = search_settings(space=WIDE)

    def suggest(dimension: Dimension) -> float | str:
        if isinstance(dimension, Interval):
            return data.draw(st.floats(dimension.low, dimension.high))
        return data.draw(st.sampled_from(dimension.choices))

    values = propose(settings.search.space, suggest)
    assert contains(settings.search.space, values)
    chosen = to_settings(values, settings)
    for scale, strength in chosen.regularizer.strengths.items():
        assert strength == pytest.approx(values[f"strength.{scale}"])
    assert RegularizerSettings.model_validate(chosen.regularizer.model_dump()) == chosen.regularizer
    back = to_values(chosen, settings.search.space)
    if back is not None:  # a strength at the very end of its range may leave it by rounding
        assert back.pop("scales") == values.pop("scales")
        assert back == pytest.approx(values)


def test_the_strength_of_a_scale_that_is_not_chosen_is_not_searched() -> None:
    space = search_settings(space=WIDE).search.space
    chosen = propose(space, lambda d: d.low if isinstance(d, Interval) else "prediction")
    assert "strength.stage4" not in chosen
    assert not contains(space, chosen | {"strength.stage4": 0.01})
    assert not contains(space, chosen | {"strength.prediction": 0.7})
    assert not contains(space, {**chosen, "scales": "stage1"})


@pytest.mark.parametrize(
    "change", [{"strength": 0.7}, {"scales": ["stage4"]}, {"variant": "paper"}, {"estimator": "exact"}]
)
def test_settings_outside_of_the_space_have_no_point(change: dict[str, Any]) -> None:
    settings = search_settings()
    assert to_values(given_settings(settings), settings.search.space) == {"strength.prediction": 0.1}
    assert to_values(changed(settings, **change), settings.search.space) is None


def test_standardisation_is_a_dimension_for_each_sensor_with_a_choice() -> None:
    settings = search_settings(space={"standardize": {"depth": ["dataset", "frame"], "camera": ["dataset"]}})
    space = settings.search.space
    usual = {"strength.prediction": 0.1, "standardize.depth": "dataset"}
    assert to_values(given_settings(settings), space) == usual
    chosen = to_settings({**usual, "standardize.depth": "frame"}, settings)
    assert chosen.standardize == {"depth": "frame", "camera": "dataset"}
    assert not contains(space, {**usual, "standardize.depth": "field"})
    fixed = search_settings(space={"standardize": {"camera": ["frame"]}})
    assert to_settings({"strength.prediction": 0.1}, fixed).standardize == {"camera": "frame"}
    assert to_values(given_settings(fixed), fixed.search.space) is None  # params.yaml has it by the data set
    assert to_values(given_settings(search_settings()), space) is None


def test_what_is_not_searched_stays_as_params_has_it() -> None:
    settings = search_settings()
    chosen = to_settings({"strength.prediction": 0.2}, settings)
    assert chosen.regularizer == settings.regularizer.model_copy(update={"strength": 0.2})
    assert (chosen.class_balance, chosen.learning_rate) == (settings.train.class_balance, settings.train.learning_rate)
    train = to_settings({"strength.prediction": 0.2, "learning_rate": 0.005}, settings).apply(settings.train)
    assert train == settings.train.model_copy(update={"learning_rate": 0.005})
