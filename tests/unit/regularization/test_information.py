"""Estimates of the information: exact and first order agree, and dropout is not taken for information."""

import pytest
import torch
from torch import Tensor

from helpers.sensor_models import MeanFusion, Pixelwise, make_batch, make_regularizer, mask
from sensorproof.regularization.options import VARIANTS

CHANNELS = {"camera": 3, "lidar": 2}


def test_the_first_order_estimate_agrees_with_the_exact_one() -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), make_batch(64, 8, CHANNELS)

    def estimates(estimator: str) -> Tensor:
        values = []
        for seed in range(24):
            torch.manual_seed(seed)
            values.append(
                make_regularizer("paper", estimator)(model, inputs, target).information["prediction"]["lidar"]
            )
        return torch.stack(values)

    exact, first_order = estimates("exact"), estimates("first_order")
    error = float((first_order - exact).std()) / len(first_order) ** 0.5
    # The step of the difference is finite: its second-order part adds a few per cent.
    assert float(first_order.mean()) == pytest.approx(float(exact.mean()), abs=3 * error + 0.1 * float(exact.mean()))


@pytest.mark.parametrize("variant", ["paper", "gat"])
def test_dropout_is_not_taken_for_information(variant: str) -> None:
    """Passes whose difference estimates a gradient draw the same masks; otherwise the difference would be dropout."""
    inputs, target = make_batch(16)
    means = []
    for dropout in (0.0, 0.3):
        values = []
        for seed in range(12):
            model = MeanFusion(dropout=dropout)
            torch.manual_seed(seed)
            term = make_regularizer(variant, "first_order")(model, inputs, target)
            values.append(term.information["prediction"]["camera"])
        means.append(float(torch.stack(values).mean()))
    assert 0.3 < means[1] / means[0] < 3


@pytest.mark.parametrize("variant", VARIANTS)
def test_ignored_pixels_and_absent_samples_change_nothing(variant: str) -> None:
    model, (inputs, target) = Pixelwise(CHANNELS), make_batch(channels=CHANNELS)
    present = {"lidar": mask(1, 1, 1, 0)}
    target[:, :4] = 255

    def information(inputs: dict[str, Tensor]) -> Tensor:
        torch.manual_seed(3)
        term = make_regularizer(variant, "exact", sigma=1e-3)(model, inputs, target, present=present)
        return torch.stack(list(term.information["prediction"].values()))

    changed = {name: x.clone() for name, x in inputs.items()}
    changed["lidar"][3] = 0.5 * changed["lidar"][3].flip(-1)
    changed["camera"][:, :, :4] = changed["camera"][:, :, :4].flip(-1)
    torch.testing.assert_close(information(changed), information(inputs), rtol=1e-2, atol=0)
    changed["camera"][:, :, 4:] = 3 * changed["camera"][:, :, 4:]
    assert not torch.allclose(information(changed), information(inputs), rtol=0.1, atol=0)
