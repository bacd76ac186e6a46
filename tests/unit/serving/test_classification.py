"""Class by class or all at once: the same classes and probabilities."""

import pytest
import torch

from sensorproof.serving import classification
from sensorproof.serving.classification import classify


def test_large_images_are_classified_as_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    coarse = 3 * torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    places, confidence = classify(coarse, (23, 31))
    monkeypatch.setattr(classification, "_MOST_LOGITS", 1)
    places_by_class, confidence_by_class = classify(coarse, (23, 31))
    assert torch.equal(places, places_by_class)
    torch.testing.assert_close(confidence, confidence_by_class)
    assert places.unique().numel() == 5
