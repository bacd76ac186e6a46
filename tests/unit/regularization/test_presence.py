"""Masks of the samples that have a sensor."""

import torch

from helpers.sensor_models import mask
from sensorproof.regularization.presence import presence_masks, zero_absent


def test_sensors_without_a_mask_are_present_everywhere() -> None:
    target = torch.zeros(2, 4, 4)
    masks = presence_masks(["camera", "lidar"], {"lidar": mask(1, 0)}, target)
    assert {name: own.tolist() for name, own in masks.items()} == {"camera": [True, True], "lidar": [True, False]}
    assert presence_masks(["camera"], None, target)["camera"].all()


def test_absent_samples_become_zeros_whatever_stands_in_for_them() -> None:
    x = torch.tensor([1.0, torch.nan]).reshape(2, 1, 1, 1)
    assert zero_absent(x, mask(1, 0)).flatten().tolist() == [1.0, 0.0]
    assert zero_absent(x, None).flatten().tolist() == [0.0, 0.0]
    assert zero_absent(x, mask(1, 1)) is x
