"""Stage train on several processes: an error is one line, and no process outlives the one that was started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.paths import ROOT
from helpers.search import search_settings, write_stage_frames
from sensorproof.artifacts import CHECKPOINTS, SEARCH, TRAIN
from sensorproof.documents import ArmSettings
from sensorproof.files import dump_yaml
from sensorproof.objectives.build import NO_REGULARIZATION

COMMAND = [sys.executable, str(ROOT / "pipelines/stages/train.py"), "baseline"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_stage_frames(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def configure(learning_rate: float = 0.01, **train: Any) -> None:
    """Write settings with which two processes train the baseline."""
    document = search_settings().model_dump(mode="json")
    document["compute"]["processes"] = 2
    document["train"] |= {"seeds": [0], "steps": 3} | train
    Path("params.yaml").write_text(dump_yaml(document))
    arm = ArmSettings(regularizer=NO_REGULARIZATION, class_balance=0.5, learning_rate=learning_rate)
    (SEARCH / "arms").mkdir(parents=True, exist_ok=True)
    arm.write(SEARCH / "arms/baseline.json")


def run() -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, capture_output=True, text=True, check=False)


def test_a_crop_that_is_not_there_is_named_once(project: Path) -> None:
    configure(crop=[8, 8])
    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("error: train.crop: needs frames at their own resolution")
    assert done.stderr.count("\n") == 1


def test_an_error_in_the_processes_comes_without_a_traceback(project: Path) -> None:
    configure(learning_rate=1e30, steps=40)
    done = run()
    assert done.returncode == 1
    assert "error: training step" in done.stderr
    assert "Traceback" not in done.stderr
    assert not TRAIN.exists()


def test_the_processes_end_with_the_one_that_was_started(project: Path) -> None:
    configure(steps=100_000, checkpoint_every=5)
    process = subprocess.Popen(COMMAND)
    deadline = time.monotonic() + 120
    while not list(CHECKPOINTS.glob("*.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(map(is_working, children)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_working(process: psutil.Process) -> bool:
    """True unless the process is gone, or dead and waits for its parent's attention."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
