"""Two agents of torchrun train one model, as on two machines with a common project folder; then one of them fails."""

import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from helpers.servers import free_port
from helpers.train_stage import kill_machine, run_stage, start_agent, write_stage_project
from sensorproof.artifacts import CHECKPOINTS, TRAIN
from sensorproof.documents.runs import TrainingRecord

ARM = "regularized_dropout"
SETTINGS = {"steps": 200, "checkpoint_every": 50, "seeds": [0], "learning_rate": 0.0001}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training by one process."""
    project = write_stage_project(tmp_path_factory.mktemp("alone"), SETTINGS, arm=ARM)
    done = run_stage(project, ARM)
    assert done.returncode == 0, done.stderr
    return project


def start_both(project: Path) -> "list[subprocess.Popen[str]]":
    """Start an agent on each machine; the second may be the one that opens the meeting point."""
    port = free_port()
    return [start_agent(project, port, ARM) for _ in range(2)]


def finish(agents: "list[subprocess.Popen[str]]") -> list[str]:
    logs = [agent.communicate(timeout=300)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], "\n".join(logs)
    return logs


def assert_alike(project: Path, alone: Path) -> None:
    """Rounding in float32 grows with the steps, so that the curves are close and not equal."""
    ours, theirs = (pd.read_csv(root / TRAIN / ARM / "0/history.csv") for root in (project, alone))
    assert ours.step.tolist() == theirs.step.tolist() == [*range(10, 201, 10)]
    for column in ("loss", "cross_entropy", "regularizer"):
        assert ours[column].to_numpy() == pytest.approx(theirs[column].to_numpy(), rel=1e-3), column
    weights, expected = (load_file(root / TRAIN / ARM / "0/model/model.safetensors") for root in (project, alone))
    gap = torch.cat([(weights[name] - own).flatten().float() for name, own in expected.items()])
    size = torch.cat([own.flatten().float() for own in expected.values()])
    assert float(gap.norm() / size.norm()) < 1e-3
    scores, others = (TrainingRecord.read(root / TRAIN / ARM / "0/train.json").val for root in (project, alone))
    assert scores.subsets == pytest.approx(others.subsets, abs=1.0)


def test_two_machines_train_the_model_of_one(alone: Path, tmp_path: Path) -> None:
    project = write_stage_project(tmp_path / "project", SETTINGS, arm=ARM)
    logs = finish(start_both(project))
    assert sum("on 2 processes" in log for log in logs) == 1
    assert_alike(project, alone)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_training_goes_on_after_one_of_its_machines_has_failed(alone: Path, tmp_path: Path, failing: int) -> None:
    project = write_stage_project(tmp_path / "project", SETTINGS, arm=ARM)
    agents = start_both(project)
    survivor = agents[1 - failing]
    while not list((project / CHECKPOINTS).glob("[!.]*.safetensors")):  # not one that is being written
        assert survivor.poll() is None, survivor.communicate()[0]
        time.sleep(0.02)
    kill_machine(agents[failing])
    log, _ = survivor.communicate(timeout=120)
    assert survivor.returncode != 0
    assert "error: training: another of its processes has ended" in log
    assert not (project / TRAIN / ARM).exists()
    logs = finish(start_both(project))
    assert not any("step 20 of" in log for log in logs)
    assert_alike(project, alone)


def test_machines_with_different_settings_stop_before_the_first_step(tmp_path: Path) -> None:
    port = free_port()
    projects = [
        write_stage_project(tmp_path / str(k), SETTINGS | {"learning_rate": 0.01 * (k + 1)}, arm=ARM) for k in range(2)
    ]
    agents = [start_agent(project, port, ARM) for project in projects]
    for agent in agents:
        log, _ = agent.communicate(timeout=300)
        assert agent.returncode != 0
        assert "error: training: data, settings or code differ between its processes; give all machines" in log
        assert "step 10" not in log
