"""Stage train: every seed of an arm, each trained once however often the stage is run."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.mlflow_registry import load_stage
from helpers.paths import ROOT
from helpers.search import search_settings, write_stage_frames
from sensorproof.artifacts import SEARCH, TRAIN, TRAINED, run_folder
from sensorproof.documents import ArmSettings
from sensorproof.files import dump_yaml
from sensorproof.hashing import hash_file
from sensorproof.models import load_model
from sensorproof.objectives.build import NO_REGULARIZATION


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_stage_frames(tmp_path)
    monkeypatch.chdir(tmp_path)
    arm = ArmSettings(regularizer=NO_REGULARIZATION, class_balance=0.5, learning_rate=0.01)
    (SEARCH / "arms").mkdir(parents=True)
    arm.write(SEARCH / "arms/baseline.json")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], **train: Any) -> tuple[dict[str, str], list[str]]:
    """Run the stage; return {file: hash} of what it wrote, and its lines on trainings that were there."""
    settings = search_settings()
    false_alarms = train.pop("false_alarms", settings.monitoring.false_alarms)
    document = settings.model_dump(mode="json")
    document["train"] |= {"steps": 3} | train
    document["monitoring"]["false_alarms"] = false_alarms
    Path("params.yaml").write_text(dump_yaml(document))
    load_stage("train").main("baseline")
    lines = capsys.readouterr().out.splitlines()
    written = {path.relative_to(TRAIN).as_posix(): hash_file(path) for path in TRAIN.rglob("*") if path.is_file()}
    return written, [line for line in lines if line.endswith("trained before")]


def test_a_model_is_trained_with_the_standardisation_that_was_chosen(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, seeds=[0])
    usual, _ = load_model(run_folder("baseline", 0) / "model")
    own = ArmSettings.read(SEARCH / "arms/baseline.json")
    own.model_copy(update={"standardize": {"camera": "frame"}}).write(SEARCH / "arms/baseline.json")
    _, kept = run(capsys, seeds=[0])
    assert kept == []  # it is another training
    model, description = load_model(run_folder("baseline", 0) / "model")
    assert {name: own.standardize for name, own in description.sensors.items()} == {
        "camera": "frame",
        "depth": "dataset",
    }
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), usual.parameters(), strict=True))


def test_further_seeds_are_trained_and_the_others_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, kept = run(capsys, seeds=[0, 1])
    assert kept == []
    assert {path.rpartition("/")[0] for path in first} == {"baseline/0", "baseline/0/model"} | {
        "baseline/1",
        "baseline/1/model",
    }
    more, kept = run(capsys, seeds=[1, 2, 0])
    assert kept == ["baseline seed 1: trained before", "baseline seed 0: trained before"]
    assert {path: more[path] for path in first} == first
    assert (run_folder("baseline", 2) / "model/model.safetensors").is_file()
    one, kept = run(capsys, seeds=[1])
    assert kept == ["baseline seed 1: trained before"]
    assert one == {path: value for path, value in first.items() if path.startswith("baseline/1/")}


@pytest.mark.parametrize("change", [{"steps": 4}, {"false_alarms": 0.05}])
def test_what_determines_a_training_makes_it_anew(
    project: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    run(capsys, seeds=[0])
    _, kept = run(capsys, seeds=[0], **change)
    assert kept == []


def test_a_stage_that_is_killed_keeps_the_finished_seeds(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, _ = run(capsys, seeds=[0, 1], steps=30)
    shutil.rmtree(TRAIN)
    shutil.rmtree(TRAINED)
    process = subprocess.Popen([sys.executable, ROOT / "pipelines/stages/train.py", "baseline"], cwd=project)
    deadline = time.monotonic() + 120
    while not [path for path in TRAINED.glob("*") if not path.name.startswith(".")]:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not TRAIN.exists()
    again, kept = run(capsys, seeds=[0, 1], steps=30)
    assert kept == ["baseline seed 0: trained before"]
    weights = "baseline/{}/model/model.safetensors"
    assert {seed: again[weights.format(seed)] for seed in (0, 1)} == {
        seed: whole[weights.format(seed)] for seed in (0, 1)
    }
