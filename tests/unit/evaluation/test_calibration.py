"""Expected calibration error: bins, subsets, seeds, and logits that are not numbers."""

import numpy as np
import pytest
import torch

from sensorproof.documents.calibration import Calibration, CalibrationBin
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.calibration import BINS, CalibrationCounts, average_calibration

IGNORE = 255


def count(logits: torch.Tensor, target: torch.Tensor, scorable: list[bool] | None = None) -> Calibration:
    counts = CalibrationCounts(["camera"])
    frames = torch.ones(len(logits), dtype=torch.bool) if scorable is None else torch.tensor(scorable)
    for start in range(0, len(logits), 2):  # several batches
        part = slice(start, start + 2)
        counts.add("camera", logits[part], target[part], frames[part], IGNORE)
    return counts.results()["camera"]


def test_the_error_is_that_of_the_definition() -> None:
    torch.manual_seed(0)
    logits = torch.randn(6, 4, 24, 20) * 2
    target = torch.randint(0, 4, (6, 24, 20))
    target[0, :10] = IGNORE
    scorable = [True, True, False, True, True, True]
    found = count(logits, target, scorable)

    probabilities = torch.softmax(logits[:, :, ::4, ::4].double(), 1).numpy()
    truth = target[:, ::4, ::4].numpy()
    keep = (truth != IGNORE) & np.array(scorable)[:, None, None]
    confidence, right = probabilities.max(1)[keep], (probabilities.argmax(1) == truth)[keep]
    error = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (confidence >= low) & (confidence < low + 1 / BINS)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert found.ece == pytest.approx(error, abs=1e-6)
    assert found.confidence == pytest.approx(confidence.mean(), abs=1e-6)
    assert found.accuracy == pytest.approx(right.mean())
    assert sum(each.share for each in found.bins) == pytest.approx(1)


def test_a_model_that_is_as_often_right_as_it_says_has_no_error() -> None:
    """Confidence 0.75, and three pixels of four are right."""
    logits = torch.tensor([0.75, 0.25]).log().reshape(1, 2, 1, 1).expand(4, 2, 4, 4)
    target = torch.tensor([0, 0, 0, 1]).reshape(4, 1, 1).expand(4, 4, 4)
    assert count(logits, target).ece == pytest.approx(0, abs=1e-6)
    assert count(logits, torch.ones_like(target)).ece == pytest.approx(0.75, abs=1e-6)


def test_a_model_that_is_sure_falls_into_the_last_bin() -> None:
    logits = torch.tensor([100.0, 0.0]).reshape(1, 2, 1, 1).expand(2, 2, 4, 4)
    found = count(logits, torch.zeros(2, 4, 4, dtype=torch.int64))
    assert found.bins[-1] == CalibrationBin(share=1.0, confidence=1.0, accuracy=1.0)
    assert found.bins[0] == CalibrationBin(share=0.0, confidence=None, accuracy=None)


def test_a_subset_without_a_pixel_has_no_calibration() -> None:
    counts = CalibrationCounts(["camera", "depth"])
    logits, target = torch.randn(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)
    counts.add("camera", logits, target, torch.tensor([True]), IGNORE)
    counts.add("depth", logits, target, torch.tensor([False]), IGNORE)
    assert list(counts.results()) == ["camera"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_are_an_error_that_names_the_subset(value: float) -> None:
    counts = CalibrationCounts(["camera", "Wärmebild"])
    target, every = torch.zeros(1, 4, 4, dtype=torch.int64), torch.tensor([True])
    counts.add("camera", torch.randn(1, 2, 4, 4), target, every, IGNORE)
    counts.add("Wärmebild", torch.full((1, 2, 4, 4), value), target, every, IGNORE)
    with pytest.raises(SensorproofError, match="NaN or infinity with Wärmebild"):
        counts.results()


def make(share: float, confidence: float, accuracy: float) -> Calibration:
    bins = (
        CalibrationBin(share=share, confidence=confidence, accuracy=accuracy),
        CalibrationBin(share=1 - share, confidence=0.9, accuracy=1.0),
        CalibrationBin(share=0.0, confidence=None, accuracy=None),
    )
    return Calibration(ece=share / 10, confidence=confidence, accuracy=accuracy, bins=bins)


def test_seeds_are_pooled_by_their_pixels() -> None:
    found = average_calibration([{"camera": make(0.1, 0.5, 0.4)}, {"camera": make(0.3, 0.7, 0.8)}])
    assert found is not None
    summary = found["camera"]
    assert summary.ece.mean == pytest.approx(0.02)
    assert summary.ece.std == pytest.approx(0.02 * 0.5**0.5)
    first, _, last = summary.bins
    assert (first.share, first.confidence, first.accuracy) == pytest.approx((0.2, 0.65, 0.7))
    assert last == CalibrationBin(share=0.0, confidence=None, accuracy=None)


def test_an_arm_of_which_a_run_has_none_has_none() -> None:
    assert average_calibration([{"camera": make(0.1, 0.5, 0.4)}, None]) is None
    assert average_calibration([]) is None
