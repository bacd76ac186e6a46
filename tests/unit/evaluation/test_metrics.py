"""IoU against scikit-learn's Jaccard index, and the rules for ignored pixels and absent classes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from sensorproof.evaluation.metrics import class_iou, confusion, mean_iou


def one_hot_logits(prediction: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(prediction, classes).movedim(-1, 1).float()


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_class_iou_is_the_jaccard_index(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    truth = torch.from_numpy(rng.integers(0, classes, (2, 5, 4)))
    prediction = torch.from_numpy(rng.integers(0, classes, (2, 5, 4)))
    matrix = confusion(one_hot_logits(prediction, classes), truth, 255)
    labels = sorted(set(truth.flatten().tolist()))
    expected = jaccard_score(truth.flatten(), prediction.flatten(), labels=labels, average=None, zero_division=0)
    found = [class_iou(matrix)[label] for label in labels]
    assert found == pytest.approx(list(100 * expected))
    assert mean_iou(matrix) == pytest.approx(100 * expected.mean())


def test_ignored_pixels_and_absent_classes_are_left_out() -> None:
    truth = torch.tensor([[[0, 0, 255]]])
    prediction = torch.tensor([[[0, 0, 1]]])
    matrix = confusion(one_hot_logits(prediction, 3), truth, 255)
    assert matrix.sum() == 2
    assert class_iou(matrix) == [100.0, None, None]


def test_nothing_to_score_is_nan() -> None:
    assert math.isnan(mean_iou(torch.zeros(3, 3, dtype=torch.int64)))
