"""Weights by relevance: what is not known yet costs no sensor its weight."""

import pytest
import torch

from sensorproof.regularization.sensor_relevance import FLOOR, PATIENCE, SensorRelevance

CLASSES = 4


def observe(relevance: SensorRelevance, sensors: dict[str, float], times: int) -> None:
    """Observe predictions that give the true class this many nats more than the others; one sample per sensor."""
    names = list(sensors)
    for _ in range(times):
        target = torch.randint(0, CLASSES, (len(names), 8, 8))
        gain = torch.tensor(list(sensors.values())).reshape(-1, 1, 1, 1)
        logits = gain * torch.nn.functional.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
        losses = torch.nn.functional.cross_entropy(logits, target, reduction="none").flatten(1).mean(1)
        kept = {name: torch.tensor([name == other for other in names]) for name in names}
        relevance.observe(kept, logits, target, losses)


@pytest.fixture
def relevance() -> SensorRelevance:
    torch.manual_seed(0)
    return SensorRelevance()


def test_a_sensor_that_was_seldom_observed_changes_no_weight(relevance: SensorRelevance) -> None:
    observe(relevance, {"camera": 2.0, "lidar": 1.0}, PATIENCE)
    before = relevance.weights(["camera", "lidar"])
    observe(relevance, {"camera": 2.0, "noise": 0.0}, 1)
    assert relevance.weights(["camera", "lidar"]) == pytest.approx(before, abs=0.02)
    assert relevance.weight("noise") == 1.0


def test_until_a_sensor_is_relevant_all_count_alike(relevance: SensorRelevance) -> None:
    observe(relevance, {"camera": 0.02, "lidar": 0.0}, 2 * PATIENCE)
    assert relevance.weights(["camera", "lidar"]) == {"camera": 1.0, "lidar": 1.0}


def test_noise_has_the_lowest_weight_and_a_half_as_relevant_sensor_about_half(relevance: SensorRelevance) -> None:
    observe(relevance, {"camera": 3.0, "lidar": 1.0, "noise": 0.0}, PATIENCE)
    weights = relevance.weights(["camera", "lidar", "noise"])
    assert weights["camera"] == 1.0
    assert 2 * FLOOR < weights["lidar"] < 0.9
    assert weights["noise"] == FLOOR


def test_the_first_observation_counts_in_full(relevance: SensorRelevance) -> None:
    """Running means that did not cancel in their ratio would call a noisy sensor relevant at first."""
    observe(relevance, {"camera": 0.0, "lidar": 0.0}, 1)
    assert relevance.relevance("camera") == pytest.approx(0, abs=0.05)


def test_a_subset_weighs_as_much_as_its_best_sensor(relevance: SensorRelevance) -> None:
    observe(relevance, {"camera": 3.0, "noise": 0.0}, PATIENCE)
    kept = {"camera": torch.tensor([True, False, True]), "noise": torch.tensor([False, True, True])}
    assert relevance.subset_weights(kept).tolist() == pytest.approx([1.0, FLOOR, 1.0])
