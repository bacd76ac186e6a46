"""The cross-entropy that f is made of: torch's own over valid pixels, and weighed by class a slow one's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from sensorproof.regularization.losses import pixel_weights, sample_cross_entropy

CLASSES = 4


def targets(seed: int, samples: int = 3, ignored: float = 0.3) -> Tensor:
    """Draw (B, 6, 8) classes of very unequal frequency, with some pixels ignored."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.tensor([0.8, 0.15, 0.05, 0.0])
    target = shares.multinomial(samples * 48, replacement=True, generator=generator).reshape(samples, 6, 8)
    return target.masked_fill(torch.rand(target.shape, generator=generator) < ignored, 255)


def slow(losses: Tensor, target: Tensor, class_balance: float) -> float:
    """Return the weighted mean over one sample, computed pixel by pixel."""
    count = {c: int((target == c).sum()) for c in range(CLASSES)}
    pairs = [(n, float(x)) for n, x in zip(target.flatten().tolist(), losses.flatten(), strict=True) if n != 255]
    weights = [count[c] ** -class_balance for c, _ in pairs]
    return sum(w * x for w, (_, x) in zip(weights, pairs, strict=True)) / sum(weights) if pairs else 0.0


def test_without_class_balance_it_is_torchs_over_valid_pixels() -> None:
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    target[0, :2] = 255
    target[1] = 255
    losses, valid = sample_cross_entropy(logits, target, 255)
    assert valid.tolist() == [8, 0]
    torch.testing.assert_close(losses[0], cross_entropy(logits[:1], target[:1], ignore_index=255))
    assert losses[1] == 0


@given(st.integers(0, 10_000), st.floats(0, 1), st.sampled_from([0.0, 0.3, 1.0]))
def test_with_class_balance_it_is_the_slow_one(seed: int, class_balance: float, ignored: float) -> None:
    target = targets(seed, ignored=ignored)
    logits = torch.randn(3, CLASSES, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    losses, valid = sample_cross_entropy(logits, target, 255, class_balance)
    pixels = cross_entropy(logits, target, ignore_index=255, reduction="none")
    expected = [slow(own, labels, class_balance) for own, labels in zip(pixels, target, strict=True)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    assert valid.tolist() == (target != 255).flatten(1).sum(1).tolist()


@pytest.mark.parametrize(("class_balance", "ratio"), [(0.0, 1.0), (0.5, 3.0), (1.0, 9.0)])
def test_a_rare_class_weighs_more_and_a_finer_resolution_changes_nothing(class_balance: float, ratio: float) -> None:
    target = torch.zeros(1, 2, 5, dtype=torch.long)
    target[0, 0, 0] = 1  # one pixel of ten
    weights = pixel_weights(target, 2, 255, class_balance)
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights[0, 0, 0] / weights[0, 1, 1]) == pytest.approx(ratio)
    finer = pixel_weights(target.repeat_interleave(4, 1).repeat_interleave(4, 2), 2, 255, class_balance)
    torch.testing.assert_close(finer[0, ::4, ::4] * 16, weights[0])


def test_samples_are_independent_and_ignored_pixels_weigh_nothing() -> None:
    target = targets(0)
    target[1] = 255
    weights = pixel_weights(target, CLASSES, 255, 0.5)
    assert weights[target == 255].eq(0).all()
    assert weights.flatten(1).sum(1).tolist() == pytest.approx([1, 0, 1])
    torch.testing.assert_close(weights[2:], pixel_weights(target[2:], CLASSES, 255, 0.5))
