"""Training learns, gives the same result for the same seed, and resumes after an interruption."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.small_training import MODEL, REGULARIZER, TRAIN, run_small, write_small_data
from sensorproof.benchmarks.added_sensor import KINDS, Kind, add_sensor
from sensorproof.data.dataset import PreparedDataset, TrainingSampler, mirror
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.subsets import score_subsets
from sensorproof.experiment import score_split
from sensorproof.models import build_model, describe_model
from sensorproof.objectives.build import build_objective
from sensorproof.objectives.regularized import Regularized
from sensorproof.settings import Arm
from sensorproof.training.loop import train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return write_small_data(tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize("arm", ["baseline", "regularized"])
def test_an_easy_task_is_learnt(data: PreparedDataset, arm: Arm) -> None:
    model, history = run_small(data, arm, steps=80)
    assert history[-1]["cross_entropy"] < 0.5 * history[0]["cross_entropy"]
    assert score_split(model, data, "test", "cpu", 3).full > 70


@pytest.mark.parametrize("arm", ["baseline", "regularized"])
def test_a_resumed_training_gives_the_same_weights_as_an_uninterrupted_one(
    data: PreparedDataset, arm: Arm, tmp_path: Path
) -> None:
    def interrupt(step: int, row: dict[str, float]) -> None:
        if step == 20:
            raise KeyboardInterrupt

    uninterrupted, _ = run_small(data, arm)
    with pytest.raises(KeyboardInterrupt):
        run_small(data, arm, checkpoint=tmp_path / "state.safetensors", progress=interrupt)
    resumed, history = run_small(data, arm, checkpoint=tmp_path / "state.safetensors")
    assert [row["step"] for row in history] == [10, 20, 30]
    for name, tensor in uninterrupted.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=0, atol=0)


def test_a_setting_that_is_as_usual_does_not_rename_a_run() -> None:
    """Otherwise every stored result of `sensorproof compare` would be trained again when a setting is added."""
    assert set(TRAIN.changes) == {
        "device", "steps", "batch_size", "learning_rate", "weight_decay", "warmup_fraction", "mixed_precision",
        "horizontal_flip", "class_balance",
    }  # fmt: skip
    changed = TRAIN.model_copy(update={"precision": "float16", "hard_pixels": 0.7}).changes
    assert (changed["precision"], changed["hard_pixels"]) == ("float16", 0.7)


def test_a_broken_checkpoint_is_an_error_of_one_line(data: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "state.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(SensorproofError, match="cannot be resumed"):
        run_small(data, checkpoint=tmp_path / "state.safetensors")


def test_a_loss_that_is_not_finite_stops_the_training(data: PreparedDataset) -> None:
    torch.manual_seed(0)
    model = build_model(describe_model(MODEL, data.meta))
    with torch.no_grad():
        model.decoder.classifier.bias.fill_(torch.nan)
    objective = build_objective("baseline", REGULARIZER)
    with pytest.raises(SensorproofError, match="training step 10: the loss is nan"):
        train(model, TrainingSampler(data, 4, 0, False), objective, TRAIN, steps=10, seed=0)


def test_every_frame_is_sampled_once_an_epoch(data: PreparedDataset) -> None:
    sampler = TrainingSampler(data, 5, 3, False)
    targets = torch.cat([sampler(step).target for step in range(16)])
    labels = torch.from_numpy(data.labels[:16].astype(np.int64))
    counts = [(targets == label).flatten(1).all(1).sum().item() for label in labels]
    assert counts == [5] * 16


def test_a_mirrored_batch_is_mirrored_in_every_sensor_and_in_the_label(data: PreparedDataset) -> None:
    batch, flipped = data.batch(np.arange(2)), mirror(data.batch(np.arange(2)), torch.tensor([True, False]))
    for before, after in [(batch.inputs["two"], flipped.inputs["two"]), (batch.target, flipped.target)]:
        torch.testing.assert_close(after[0], before[0].flip(-1))
        torch.testing.assert_close(after[1], before[1])


def test_invalid_pixels_and_absent_sensors_are_zero_and_marked(data: PreparedDataset) -> None:
    batch = data.batch(np.array([4, 5]))
    assert (batch.inputs["two"][0, :, :4] == 0).all()
    assert (batch.inputs["two"][1] == 0).all()
    assert batch.present["two"].tolist() == [True, False]


def test_quarantined_and_faulty_frames_are_left_out(data: PreparedDataset, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("batch,frame_id\nb,3\nother,4\n")
    kept = PreparedDataset(data.root, tmp_path / "out.csv")
    assert kept.rows("train").tolist() == [i for i in range(16) if i != 3]
    (tmp_path / "all.csv").write_text("batch,frame_id\n" + "".join(f"b,{i}\n" for i in range(16)))
    with pytest.raises(SensorproofError, match="no labelled frame for train"):
        PreparedDataset(data.root, tmp_path / "all.csv").rows("train")


def test_a_subset_is_scored_as_by_a_model_given_only_its_sensors(data: PreparedDataset) -> None:
    torch.manual_seed(0)
    model = build_model(describe_model(MODEL, data.meta)).eval()
    scores = score_subsets(model, data.ordered("train", 5), ["ground", "box"])
    assert list(scores.subsets) == ["one", "two", "one+two"]
    hits, frames = torch.zeros(2, 2), 0
    for batch in data.ordered("train", 1):
        if batch.present["two"]:
            prediction = model({"two": batch.inputs["two"]}).argmax(1)
            counts = [((batch.target == t) & (prediction == p)).sum() for t in (0, 1) for p in (0, 1)]
            hits += torch.stack(counts).view(2, 2)
            frames += 1
    assert frames == 15
    union = hits.sum(0) + hits.sum(1) - hits.diagonal()
    assert scores.subsets["two"] == pytest.approx(float(100 * (hits.diagonal() / union).mean()))
    assert scores.support == {"ground": 16 * 1024 - scores.support["box"], "box": 16 * 144}


@pytest.mark.parametrize("kind", KINDS)
def test_an_uninformative_sensor_can_be_added(data: PreparedDataset, kind: Kind, tmp_path: Path) -> None:
    add_sensor(data.root, tmp_path / "prepared", kind)
    changed = PreparedDataset(tmp_path / "prepared")
    assert set(changed.sensors) == {*data.sensors, kind}
    added, source = np.array(changed.images[kind]), np.array(changed.images["two"])
    copied = [np.array_equal(a, b, equal_nan=True) for a, b in zip(added, source, strict=True)]
    assert (np.ptp(added) == 0) == (kind == "constant")
    assert any(copied) == (kind == "half_broken")
    assert not all(copied)
    inputs = changed.batch(changed.rows("train")).inputs
    assert all(bool(torch.isfinite(x).all()) for x in inputs.values())


def test_only_an_uninformative_sensor_loses_its_weight(data: PreparedDataset, tmp_path: Path) -> None:
    """`two`, which is learnt late, keeps its weight: its relevance is near zero for the first hundred steps."""
    kinds: tuple[Kind, ...] = ("constant", "half_broken")
    for kind in kinds:
        add_sensor(data.root, tmp_path / kind, kind)
        objective = Regularized(REGULARIZER, "any")
        run_small(PreparedDataset(tmp_path / kind), steps=260, objective=objective)
        assert objective.regularizer.relevance is not None
        weights = objective.regularizer.relevance.weights(["one", "two", kind])
        assert min(weights["one"], weights["two"]) > 0.8
        assert weights[kind] < (0.2 if kind == "constant" else 0.95)
