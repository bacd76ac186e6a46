"""Every option of training, with every arm: the plain result where it should not change, and learning where it may."""

from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn

from helpers.small_training import REGULARIZER, run_small, write_small_data
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.metadata import IGNORE
from sensorproof.models import Segmenter
from sensorproof.objectives.hard_pixels import FEWEST, hard_cross_entropy
from sensorproof.objectives.regularized import Regularized
from sensorproof.regularization.losses import batch_cross_entropy
from sensorproof.settings import Arm, ModelSettings

ARMS: tuple[Arm, ...] = get_args(Arm)
DEEP = ModelSettings(backbone="mit_b0", decoder_channels=16, pretrained=None)
"""With stochastic depth, which `tiny` has not."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return write_small_data(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """With every sensor in every training frame."""
    return write_small_data(tmp_path_factory.mktemp("complete"), absent=20)


def differences(first: Segmenter, second: Segmenter) -> float:
    """Largest difference between the weights of two models."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max(float((a - b).abs().max().detach()) for a, b in pairs)


@pytest.mark.parametrize("arm", ["regularized", "regularized_dropout", "ogm_ge"])
@pytest.mark.parametrize("changes", [{"recompute": True}, {"channels_last": True}])
def test_memory_is_saved_or_laid_out_without_another_result(
    data: PreparedDataset, arm: Arm, changes: dict[str, Any]
) -> None:
    plain, expected = run_small(data, arm, 10, model=DEEP, double=True)
    saved, history = run_small(data, arm, 10, changes=changes, model=DEEP, double=True)
    assert history[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=1e-8)
    assert differences(plain, saved) < 1e-6
    assert all(p.is_contiguous() for p in saved.parameters())


@pytest.mark.parametrize("arm", ["regularized_dropout", "modality_dropout", "single_modality"])
def test_a_batch_in_parts_is_the_batch_but_for_its_normalisation(
    data: PreparedDataset, complete: PreparedDataset, arm: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a normalisation of each sample, the parts of a batch sum up to it: draws, means and weights.

    Eight steps, as the tenth measures what sensors contribute, for which a part has fewer samples than a batch.
    """
    monkeypatch.setattr("sensorproof.models.decoder.BatchNorm2d", nn.InstanceNorm2d)
    own = data if arm == "modality_dropout" else complete  # the others draw by which sensors a part has at all
    _, expected = run_small(own, arm, 8, model=DEEP, double=True)
    for parts in (2, 4):
        _, history = run_small(own, arm, 8, changes={"accumulate": parts}, model=DEEP, double=True)
        assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in expected], rel=1e-8)


def test_a_batch_must_divide_into_its_parts(data: PreparedDataset) -> None:
    with pytest.raises(ValueError, match=r"train\.batch_size: a batch of 4 does not divide by .* = 1 x 3"):
        run_small(data, changes={"accumulate": 3})


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_every_arm_learns_in_mixed_precision(data: PreparedDataset, arm: Arm, precision: str) -> None:
    changes = {"precision": precision, "max_gradient_norm": 1.0, "accumulate": 2}
    model, history = run_small(data, arm, 40, changes=changes)
    assert history[-1]["cross_entropy"] < 0.9 * history[0]["cross_entropy"]
    assert all(p.dtype == torch.float32 and bool(torch.isfinite(p).all()) for p in model.parameters())


def test_gradients_are_clipped(data: PreparedDataset) -> None:
    free, _ = run_small(data, steps=3)
    clipped, _ = run_small(data, steps=3, changes={"max_gradient_norm": 1e-12})
    start, _ = run_small(data, steps=3, changes={"learning_rate": 1e-12, "weight_decay": 0.0})
    assert differences(clipped, start) < 0.5 * differences(free, start)


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_the_hardest_pixels_are_those_of_a_plain_sort(balance: float) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 4, 8, 8) * 3, torch.randint(0, 4, (3, 8, 8))
    target[0, :4], target[2] = IGNORE, IGNORE
    losses = nn.functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    total, valid = 0.0, 0
    for own, labels in zip(losses[:2], target[:2], strict=True):
        kept = labels != IGNORE
        count = int(kept.sum())
        limit = min(-float(torch.tensor(0.7).log()), sorted(own[kept].tolist())[-max(1, count // FEWEST)])
        hard = kept & (own >= limit)
        counts = torch.bincount(labels[kept], minlength=4).float()
        weights = counts[labels[hard]] ** -balance
        total += float((own[hard] * weights).sum() / weights.sum()) * count
        valid += count
    assert float(hard_cross_entropy(logits, target, IGNORE, balance, 0.7)) == pytest.approx(total / valid, rel=1e-5)


def test_all_pixels_are_hard_to_a_model_that_knows_nothing(data: PreparedDataset) -> None:
    logits, target = torch.zeros(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    expected = batch_cross_entropy(logits, target, IGNORE, 0.5)
    torch.testing.assert_close(hard_cross_entropy(logits, target, IGNORE, 0.5, 0.7), expected)
    none = hard_cross_entropy(logits, torch.full_like(target, IGNORE), IGNORE, 0.5, 0.7)
    assert float(none) == 0.0
    model, _ = run_small(data, "regularized", 12, changes={"hard_pixels": 0.7})
    assert bool(torch.isfinite(next(model.parameters())).all())


def test_the_trained_model_has_the_mean_of_the_weights(data: PreparedDataset) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    expected: dict[str, torch.Tensor] = {}
    objective = Regularized(REGULARIZER, "any")
    for steps in (1, 2, 3):
        changes = {"warmup_fraction": 1.0, "learning_rate": 0.003 * (steps + 1) / 4}  # the rate of the longest run
        model, _ = run_small(data, steps=steps, changes=changes, objective=Regularized(REGULARIZER, "any"))
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
    for own in seen:
        expected = own if not expected else {name: 0.8 * expected[name] + 0.2 * own[name] for name in own}
    changes = {"warmup_fraction": 1.0, "average_decay": 0.8}
    model, _ = run_small(data, steps=3, changes=changes, objective=objective)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-4, atol=1e-6)


def test_compiled_code_trains_as_eager_code(data: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated as for a GPU; only the last step, the machine's code, would take minutes here."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch.compiler.reset()
    _, expected = run_small(data, "regularized_dropout", 10)
    model, history = run_small(data, "regularized_dropout", 10, changes={"compile": True})
    assert history[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=1e-2)
    assert "decode_coarsely" not in vars(model)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_everything_at_once_resumes_to_the_same_weights(data: PreparedDataset, tmp_path: Path, precision: str) -> None:
    def interrupt(step: int, row: dict[str, float]) -> None:
        if step == 20:
            raise KeyboardInterrupt

    changes = {
        "precision": precision, "accumulate": 2, "recompute": True, "average_decay": 0.9, "hard_pixels": 0.7,
        "max_gradient_norm": 1.0, "channels_last": True,
    }  # fmt: skip
    expected, _ = run_small(data, "agm", changes=changes, model=DEEP)
    checkpoint = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run_small(data, "agm", changes=changes, model=DEEP, checkpoint=checkpoint, progress=interrupt)
    resumed, _ = run_small(data, "agm", changes=changes, model=DEEP, checkpoint=checkpoint)
    assert differences(expected, resumed) == 0.0


def test_readers_give_the_batches_of_the_training_itself(data: PreparedDataset) -> None:
    expected, _ = run_small(data, steps=10)
    read, _ = run_small(data, steps=10, readers=2)
    assert differences(expected, read) == 0.0
