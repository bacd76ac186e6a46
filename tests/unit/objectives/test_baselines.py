"""Competing methods made of cross-entropies, against values computed by hand."""

import pytest
import torch

from helpers.objective_steps import make_step
from sensorproof.errors import UsageError
from sensorproof.objectives.baselines import ModalityDropout, SingleModality
from sensorproof.regularization.losses import batch_cross_entropy


def test_a_probability_above_one_is_named() -> None:
    with pytest.raises(UsageError, match=r"1\.5 for modality_dropout"):
        ModalityDropout(1.5)


def test_the_single_modality_loss_is_the_mean_of_the_sensors_own() -> None:
    """Each over the samples that have the sensor; the model is in evaluation, where samples are independent."""
    model, inputs, target = make_step()
    model.eval()
    present = {"lidar": torch.tensor([True, True, False, True])}
    loss = SingleModality(0.5)(model, inputs, target, present, 0)
    expected = []
    for name, x in inputs.items():
        rows = present.get(name, torch.ones(4, dtype=torch.bool))
        expected.append(float(batch_cross_entropy(model({name: x[rows]}), target[rows], 255).detach()))
    assert float(loss.parts["single"]) == pytest.approx(sum(expected) / 3, rel=1e-5)
    total = float(loss.parts["cross_entropy"]) + 0.5 * float(loss.parts["single"])
    assert float(loss.value.detach()) == pytest.approx(total, rel=1e-6)
