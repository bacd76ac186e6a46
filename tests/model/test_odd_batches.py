"""The regulariser on odd batches: sensors missing, nothing labelled, values that are not finite."""

import pytest
import torch

from helpers.sensor_models import MeanFusion, make_batch, make_regularizer, make_segmenter, mask
from sensorproof.regularization.options import ESTIMATORS, VARIANTS

PARTLY = {"lidar": mask(1, 1, 0, 0), "thermal": mask(0, 0, 0, 0)}
SCALES = ("prediction", "stage1", "stage3")
pytestmark = [pytest.mark.parametrize("estimator", ESTIMATORS), pytest.mark.parametrize("variant", VARIANTS)]


def test_a_model_never_receives_a_sensor_that_a_sample_lacks(variant: str, estimator: str) -> None:
    """Samples that lack a sensor pass without it; what stands in for the image may be anything, even NaN."""
    model, (inputs, target) = MeanFusion(), make_batch()
    inputs["lidar"][2:] = torch.nan
    inputs["thermal"][:] = torch.nan
    term = make_regularizer(variant, estimator)(model, inputs, target, present=PARTLY)
    term.value.backward()
    assert torch.isfinite(term.value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert set(term.information["prediction"]) == {"camera", "lidar"}
    assert not any("thermal" in names for names in model.calls)


@pytest.mark.parametrize("scales", [("stage1",), ("prediction", "stage1")])
def test_absent_images_that_are_not_finite_leave_the_gradients_finite(
    variant: str, estimator: str, scales: tuple[str, ...]
) -> None:
    model, (inputs, target) = make_segmenter(), make_batch(4, 32)
    inputs["lidar"][2:] = torch.nan
    term = make_regularizer(variant, estimator, scales)(model, inputs, target, present={"lidar": mask(1, 1, 0, 0)})
    term.value.backward()
    assert torch.isfinite(term.value)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_term_of_a_batch_without_a_label_is_zero(variant: str, estimator: str) -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    term = make_regularizer(variant, estimator, SCALES)(model, inputs, torch.full_like(target, 255))
    assert float(term.value) == 0.0
    assert term.information == {}


def test_the_term_is_zero_if_no_sample_has_a_sensor_to_regularise(variant: str, estimator: str) -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    regularizer = make_regularizer(variant, estimator, SCALES, sensors=["lidar"])
    term = regularizer(model, inputs, target, present={"lidar": mask(0, 0)})
    assert float(term.value) == 0.0
    half = regularizer(model, inputs, target, present={"lidar": mask(0, 1)})
    assert torch.isfinite(half.value)
    assert set(half.information["prediction"]) == {"lidar"}
