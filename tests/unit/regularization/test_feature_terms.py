"""The cross-entropy of features: torch's own on soft targets, and silent on what does not count."""

import pytest
import torch
from torch import Tensor, nn

from helpers.sensor_models import make_batch, make_regularizer, make_segmenter, mask
from sensorproof.errors import SensorproofError
from sensorproof.regularization.feature_terms import feature_cross_entropy
from sensorproof.regularization.options import ESTIMATORS, VARIANTS


def test_feature_cross_entropy_is_torchs_on_soft_targets() -> None:
    feature, fused = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4)
    expected = nn.functional.cross_entropy(feature, fused.softmax(1), reduction="none")
    torch.testing.assert_close(feature_cross_entropy(feature, fused), expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_features_of_absent_samples_are_not_read(variant: str, estimator: str) -> None:
    """NaN in them, or other values, change neither the term nor the scale of the perturbation."""
    model, (inputs, target) = make_segmenter().eval(), make_batch(4, 32)
    present = {"lidar": mask(1, 1, 0, 0)}
    values = []
    for stand_in in (0.0, torch.nan):
        features = model.encode(inputs)
        here = present["lidar"].reshape(-1, 1, 1, 1)
        features["lidar"] = [torch.where(here, stage, stand_in) for stage in features["lidar"]]
        torch.manual_seed(1)
        regularizer = make_regularizer(variant, estimator, ("stage1", "stage3"))
        values.append(regularizer(model, inputs, target, present=present, features=features).value)
    assert torch.isfinite(values[0])
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_features_where_no_pixel_has_a_label_change_nothing(variant: str) -> None:
    model, (inputs, target) = make_segmenter().eval(), make_batch(4, 32)
    target[:, :16] = 255

    def information(flipped: slice | None) -> Tensor:
        """Flip the channels of some rows of every sensor, which changes neither their mean nor their deviation."""
        features = model.encode(inputs)
        for stages in features.values():
            stages[0] = stages[0].clone()
            if flipped is not None:
                stages[0][:, :, flipped] = stages[0][:, :, flipped].flip(1)
        torch.manual_seed(1)
        regularizer = make_regularizer(variant, "exact", ("stage1",), sigma=1e-2)
        return torch.stack(list(regularizer(model, inputs, target, features=features).information["stage1"].values()))

    torch.testing.assert_close(information(slice(0, 4)), information(None), rtol=1e-6, atol=0)
    assert not torch.allclose(information(slice(4, 8)), information(None), rtol=1e-5, atol=0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_feature_scales_of_a_frozen_encoder(variant: str) -> None:
    model, (inputs, target) = make_segmenter().requires_grad_(False), make_batch(2, 32)
    assert torch.isfinite(make_regularizer(variant, "exact", ("stage1",))(model, inputs, target).value)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_features_that_are_not_finite_are_named(variant: str, estimator: str) -> None:
    model, (inputs, target) = make_segmenter(), make_batch(2, 32)
    features = model.encode(inputs)
    features["camera"][0] = features["camera"][0] * torch.nan
    with pytest.raises(SensorproofError, match="not finite"):
        make_regularizer(variant, estimator, ("stage1",))(model, inputs, target, features=features)
