"""A training that processes share, or that is killed again and again, is the training of one process."""

from pathlib import Path
from typing import Any, get_args
from unittest.mock import Mock

import pytest
import torch

from helpers.small_training import read_outcome, run_apart, run_small, start_small, write_small_data
from helpers.train_stage import run_stage, write_stage_project
from sensorproof.artifacts import TRAIN
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents.runs import TrainingRecord
from sensorproof.errors import EXIT_USAGE, UsageError
from sensorproof.experiment import score_split
from sensorproof.models import build_model, describe_model
from sensorproof.parallel import single_threaded
from sensorproof.settings import Arm, ModelSettings
from sensorproof.training.processes import Processes

DEEP = ModelSettings(backbone="mit_b0", decoder_channels=16, pretrained=None)
TASK: dict[str, Any] = {"steps": 20, "changes": {"batch_size": 8, "class_balance": 0.5}, "double": True}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_small_data(folder)
    return folder


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with every sensor in every training frame: single_modality decodes as many samples as have a sensor."""
    folder = tmp_path_factory.mktemp("complete")
    write_small_data(folder, absent=20)
    return folder


@pytest.fixture(scope="module")
def shared(root: Path, complete: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every arm, trained and scored on two processes."""
    out = tmp_path_factory.mktemp("shared")
    task = {"arms": get_args(Arm), "roots": {"single_modality": complete}, "model": DEEP}
    start_small(root, out, 2, score=True, **task, **TASK).finish()
    return out


@pytest.mark.parametrize("arm", get_args(Arm))
def test_two_processes_have_the_loss_curve_of_one(root: Path, complete: Path, shared: Path, arm: Arm) -> None:
    """Normalisation, dropout, stochastic depth, subsets, relevance and OGM-GE's noise are those of the whole batch."""
    data = PreparedDataset(complete if arm == "single_modality" else root)
    model, history = run_small(data, arm, model=DEEP, **TASK)
    outcome = read_outcome(shared / arm)
    tolerance = 1e-6 if arm in {"ogm_ge", "agm"} else 1e-8  # their factors are made of probabilities in float32
    assert [row["step"] for row in outcome.history] == [10, 20]
    for one, two in zip(history, outcome.history, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=tolerance)
        assert two["cross_entropy"] == pytest.approx(one["cross_entropy"], rel=tolerance)
    for name, tensor in model.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(outcome.weights[name], tensor, rtol=100 * tolerance, atol=10 * tolerance)


def test_shares_no_larger_than_what_is_measured_draw_as_the_whole_batch_does(root: Path, tmp_path: Path) -> None:
    task: dict[str, Any] = {"steps": 20, "changes": {"batch_size": 4, "horizontal_flip": False}, "double": True}
    _, history = run_small(PreparedDataset(root), "regularized", **task)
    outcome = run_apart(root, tmp_path / "out", 2, arm="regularized", **task)
    losses, expected = ([row["loss"] for row in each] for each in (outcome.history, history))
    assert losses == pytest.approx(expected, rel=1e-8)


def test_a_training_resumes_on_another_number_of_processes(root: Path, tmp_path: Path) -> None:
    changes = {"batch_size": 8, "average_decay": 0.9}
    task = {"steps": 30, "changes": changes, "double": True}
    _, expected = run_small(PreparedDataset(root), "regularized_dropout", **task)
    checkpoint = tmp_path / "state.safetensors"
    training = start_small(root, tmp_path / "killed", 2, arm="regularized_dropout", checkpoint=checkpoint, **task)
    training.kill_after(20)
    said: list[int] = []
    _, history = run_small(
        PreparedDataset(root),
        "regularized_dropout",
        checkpoint=checkpoint,
        progress=lambda step, row: said.append(step),
        **task,
    )
    assert said in ([20, 30], [30])
    assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in expected], rel=1e-8)


def test_weights_spread_over_the_processes_train_alike_and_resume(root: Path, tmp_path: Path) -> None:
    changes = {"batch_size": 8, "accumulate": 2, "max_gradient_norm": 1.0}
    task: dict[str, Any] = {"arm": "random_subset", "steps": 30, "double": True, "changes": changes}
    expected = run_apart(root, tmp_path / "whole", 2, **task)
    task["changes"] = changes | {"shard_weights": True}
    checkpoint = tmp_path / "state.safetensors"
    start_small(root, tmp_path / "killed", 2, checkpoint=checkpoint, **task).kill_after(20)
    assert 10 not in start_small(root, tmp_path / "out", 2, checkpoint=checkpoint, **task).finish()
    outcome = read_outcome(tmp_path / "out")
    losses, others = ([row["loss"] for row in each.history] for each in (outcome, expected))
    assert losses == pytest.approx(others, rel=1e-8)
    for name, tensor in expected.weights.items():
        torch.testing.assert_close(outcome.weights[name], tensor, rtol=1e-3, atol=1e-5)
    regularized = run_apart(root, tmp_path / "arm", 2, **task | {"arm": "regularized_dropout", "steps": 12})
    assert regularized.history[-1]["regularizer"] > 0


def test_a_training_killed_five_times_ends_with_the_weights_of_one_left_alone(root: Path, tmp_path: Path) -> None:
    changes = {"checkpoint_every": 7, "average_decay": 0.9, "accumulate": 2}
    task: dict[str, Any] = {"arm": "regularized_dropout", "steps": 100, "changes": changes, "readers": 1}
    with single_threaded():  # as the others are
        alone, history = run_small(PreparedDataset(root), **task)
    checkpoint, out = tmp_path / "state.safetensors", tmp_path / "out"
    for step in (10, 30, 50, 70, 90):
        start_small(root, out, checkpoint=checkpoint, **task).kill_after(step)
        assert not (out / "weights.safetensors").exists()
    assert 70 not in start_small(root, out, checkpoint=checkpoint, **task).finish()
    last = read_outcome(out)
    assert last.history == history
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(last.weights[name], tensor, rtol=0, atol=0)


def test_a_batch_that_does_not_divide_stops_before_the_first_step(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processes, "current", lambda: Processes(1, 2))
    objective = Mock()
    fault = r"a batch of 5 does not divide by processes x train\.accumulate = 2 x 1; set it to a multiple of 2"
    with pytest.raises(UsageError, match=rf"train\.batch_size: {fault}"):
        run_small(PreparedDataset(root), objective=objective, changes={"batch_size": 5})
    assert not objective.mock_calls


def test_processes_share_out_an_evaluation(root: Path, shared: Path) -> None:
    outcome, data = read_outcome(shared / "baseline"), PreparedDataset(root)
    model = build_model(describe_model(DEEP, data.meta))
    model.load_state_dict(outcome.weights)
    assert score_split(model, data, "train", "cpu", 3).to_document().to_json() == outcome.scores


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_stage_project(tmp_path, {"steps": 6}, processes=2)


def test_the_stage_starts_its_processes(project: Path) -> None:
    done = run_stage(project)
    assert done.returncode == 0, done.stderr
    assert "on 2 processes" in done.stdout
    assert done.stdout.count("seed 0: step 6 of 6") == 1
    assert TrainingRecord.read(project / TRAIN / "baseline/0/train.json").parameters > 0


def test_the_stage_stops_before_it_starts_processes_among_which_a_batch_does_not_divide(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("batch_size: 4", "batch_size: 5", 1))
    done = run_stage(project)
    assert done.returncode == EXIT_USAGE
    assert done.stderr.startswith("error: train.batch_size: a batch of 5 does not divide")
    assert done.stderr.count("\n") == 1
