"""The arms with the term: every setting of `regularizer` trains, and what a step logs."""

import pytest
import torch

from helpers.objective_steps import CHANNELS, SETTINGS, make_step
from sensorproof.objectives.regularized import FIRST_MEASURED, MEASURE_EVERY, Regularized
from sensorproof.regularization.options import ESTIMATORS, VARIANTS
from sensorproof.regularization.subset_log_loss import SubsetLogLoss


@pytest.mark.parametrize("scales", [["prediction"], ["stage2"], {"prediction": 1.0, "stage4": 0.3}])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_settings_that_do_not_apply_are_not_passed_on(variant: str, estimator: str, scales: list[str]) -> None:
    model, inputs, target = make_step()
    settings = SETTINGS.model_copy(update={"variant": variant, "estimator": estimator, "scales": scales})
    loss = Regularized(settings, "single", 0.5)(model, inputs, target, None, 0)
    loss.value.backward()
    assert torch.isfinite(loss.value)


def test_the_settings_reach_the_term() -> None:
    regularizer = Regularized(SETTINGS, "any", 0.7).regularizer
    assert isinstance(regularizer.loss, SubsetLogLoss)
    assert regularizer.loss.subsets == "any"
    assert regularizer.loss.information.class_balance == 0.7
    assert regularizer.strengths == {"prediction": 0.3}
    assert regularizer.relevance is not None
    without = SETTINGS.model_copy(update={"relevance_weighting": False})
    assert Regularized(without, "any").regularizer.relevance is None


def test_the_information_is_logged_at_measured_steps_only() -> None:
    model, inputs, target = make_step()
    objective = Regularized(SETTINGS, "single")
    plain = {"cross_entropy", "regularizer"}
    information = {f"information/prediction/{name}" for name in CHANNELS}
    for step, expected in ((0, plain), (FIRST_MEASURED, plain | information), (MEASURE_EVERY, plain)):
        loss = objective(model, inputs, target, None, step)
        assert set(loss.parts) == expected
        assert float(loss.value.detach()) == pytest.approx(
            float(loss.parts["cross_entropy"] + loss.parts["regularizer"]), rel=1e-6
        )
