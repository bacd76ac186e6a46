"""Weights by usefulness: what is not known yet neither costs a sensor its weight nor takes another's."""

import pytest
import torch

from sensorproof.regularization.sensor_relevance import FLOOR, PATIENCE, SensorRelevance

CLASSES = 4


def observe(useful: SensorRelevance, sensors: dict[str, float], times: int) -> None:
    """Predictions that give the own label this many nats more than the other classes; one sample of each sensor."""
    names = list(sensors)
    for _ in range(times):
        target = torch.randint(0, CLASSES, (len(names), 8, 8))
        gain = torch.tensor(list(sensors.values())).reshape(-1, 1, 1, 1)
        logits = gain * torch.nn.functional.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
        losses = torch.nn.functional.cross_entropy(logits, target, reduction="none").flatten(1).mean(1)
        kept = {name: torch.tensor([name == other for other in names]) for name in names}
        useful.observe(kept, logits, target, losses, 255)


def test_a_sensor_that_was_seldom_observed_takes_no_ones_weight() -> None:
    torch.manual_seed(0)
    useful = SensorRelevance()
    observe(useful, {"camera": 2.0, "lidar": 1.0}, PATIENCE)
    before = useful.weights(["camera", "lidar"])
    observe(useful, {"camera": 2.0, "noise": 0.0}, 1)
    assert useful.weights(["camera", "lidar"]) == pytest.approx(before, abs=0.02)
    assert useful.weight("noise") == 1.0


def test_before_any_sensor_tells_something_all_count_alike() -> None:
    torch.manual_seed(0)
    useful = SensorRelevance()
    observe(useful, {"camera": 0.02, "lidar": 0.0}, 2 * PATIENCE)
    assert useful.weights(["camera", "lidar"]) == {"camera": 1.0, "lidar": 1.0}


def test_noise_keeps_the_floor_and_the_half_as_useful_about_half() -> None:
    torch.manual_seed(0)
    useful = SensorRelevance()
    observe(useful, {"camera": 3.0, "lidar": 1.0, "noise": 0.0}, PATIENCE)
    weights = useful.weights(["camera", "lidar", "noise"])
    assert weights["camera"] == 1.0
    assert 2 * FLOOR < weights["lidar"] < 0.9
    assert weights["noise"] == FLOOR


def test_the_first_observation_is_taken_at_its_word() -> None:
    """A running mean that began elsewhere than at the first value would call a noisy sensor useful."""
    torch.manual_seed(0)
    useful = SensorRelevance()
    observe(useful, {"camera": 0.0, "lidar": 0.0}, 1)
    assert useful.relevance("camera") == pytest.approx(0, abs=0.05)
