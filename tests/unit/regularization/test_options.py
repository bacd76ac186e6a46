"""Options of the regulariser: bad values, and options that do not apply, are refused by name."""

from typing import Any, get_args

import pytest

from sensorproof import settings
from sensorproof.errors import UsageError
from sensorproof.regularization import FunctionalEntropy
from sensorproof.regularization.options import ESTIMATORS, SCALES, VARIANTS, applicable_options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -0.1}, "strength: is -0.1"),
        ({"strength": float("nan")}, "strength: is nan"),
        ({"strength": "0.1"}, "strength: is '0.1'"),
        ({"strength": {"stage1": 0.1}}, "strength"),
        ({"scales": ("stage9",)}, "stage9"),
        ({"scales": "prediction"}, "scales: is the string"),
        ({"scales": ()}, "scales: is empty"),
        ({"sensors": "camera"}, "sensors: is the string"),
        ({"sensors": []}, "sensors: is empty"),
        ({"variant": "magic"}, "variant: is 'magic'"),
        ({"estimator": "magic"}, "estimator: is 'magic'"),
        ({"subsets": "most"}, "subsets: is 'most'"),
        ({"missing": "guess"}, "missing: is 'guess'"),
        ({"sigma": 0.0}, "sigma: is 0.0"),
        ({"sigma": float("inf")}, "sigma: is inf"),
        ({"batch_fraction": 0.0}, "batch_fraction: is 0.0"),
        ({"every_n_steps": 0}, "every_n_steps: is 0"),
        ({"every_n_steps": 1.5}, "every_n_steps: is 1.5"),
        ({"epsilon": 0.0}, "epsilon: is 0.0"),
        ({"class_balance": -0.1}, "class_balance: is -0.1"),
        ({"class_balance": 1.5}, "class_balance: is 1.5"),
        ({"class_balance": float("nan")}, "class_balance: is nan"),
    ],
)
def test_bad_values_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        FunctionalEntropy(**options)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("option", [{"subsets": "any"}, {"relevance_weighting": True}, {"class_balance": 0.5}])
@pytest.mark.parametrize(
    "others",
    [
        {"variant": "paper"},
        {"variant": "paper", "estimator": "exact"},
        {"variant": "gat"},
        {"variant": "gat", "estimator": "exact"},
        {"scales": ("stage1", "stage2")},
    ],
)
def test_options_that_do_not_apply_are_refused(option: dict[str, Any], others: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(UsageError, match=rf"^{name}: is .* does not apply to variant .*; leave it out"):
        FunctionalEntropy(**option, **others)


@pytest.mark.parametrize("option", [{"subsets": "any"}, {"relevance_weighting": True}])
def test_the_exact_estimator_has_class_balance_alone(option: dict[str, Any]) -> None:
    FunctionalEntropy(estimator="exact", class_balance=0.5)
    (name,) = option
    with pytest.raises(UsageError, match=rf'^{name}: .* with estimator="first_order"'):
        FunctionalEntropy(estimator="exact", **option)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("scales", [("prediction",), ("stage1",), SCALES])
def test_options_that_apply_are_accepted_and_neutral_values_always(
    variant: str, estimator: str, scales: tuple[str, ...]
) -> None:
    chosen: dict[str, Any] = {"scales": scales, "variant": variant, "estimator": estimator}
    active = {"subsets": "any", "relevance_weighting": True, "class_balance": 0.7}
    FunctionalEntropy(**chosen, **{name: active[name] for name in applicable_options(variant, estimator, scales)})
    FunctionalEntropy(**chosen, subsets="single", relevance_weighting=False, class_balance=0.0)


def test_the_settings_know_the_same_values() -> None:
    fields = settings.RegularizerSettings.model_fields
    assert get_args(fields["variant"].annotation) == VARIANTS
    assert get_args(fields["estimator"].annotation) == ESTIMATORS
    assert get_args(settings.Scale) == SCALES
