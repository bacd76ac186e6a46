"""A project of which stage train can be run by itself, here or by agents of torchrun as on several machines."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from helpers.paths import ROOT
from helpers.project_artifacts import make_meta, write_prepared
from sensorproof.artifacts import PREPARED, QUARANTINED, SEARCH
from sensorproof.documents import ArmSettings
from sensorproof.files import dump_yaml, parse_yaml, write_text
from sensorproof.settings import load_settings

STAGE = ROOT / "pipelines/stages/train.py"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def write_stage_project(root: Path, train: Mapping[str, Any], processes: int = 1, arm: str = "baseline") -> Path:
    """Write all that stage train reads, with some settings of `train`; return the folder."""
    params = parse_yaml((ROOT / "params.yaml").read_text())
    params["compute"]["processes"] = processes
    params["train"] |= {"device": "cpu", "batch_size": 4, **train}
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(dump_yaml(params))
    write_prepared(root / PREPARED, make_meta().model_copy(update={"frames": {"train": 8, "val": 4, "test": 4}}))
    write_text(root / QUARANTINED, "batch,frame_id\n")
    settings = load_settings(root / "params.yaml")
    chosen = ArmSettings(
        regularizer=settings.regularizer,
        class_balance=settings.train.class_balance,
        learning_rate=settings.train.learning_rate,
    )
    chosen.write(root / SEARCH / f"arms/{arm}.json")
    return root


def run_stage(project: Path, arm: str = "baseline") -> "subprocess.CompletedProcess[str]":
    """Run the stage."""
    command = [sys.executable, STAGE, arm]
    return subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def start_agent(project: Path, port: int, arm: str = "baseline", agents: int = 2) -> "subprocess.Popen[str]":
    """Start what is run on each machine: torchrun with one process, and a meeting point that the agents have in common.

    The address of this agent is given, because the name of a test's machine need not lead to it.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={agents}", "--nproc-per-node=1"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1"]
    return subprocess.Popen(
        [*torchrun, STAGE, arm],
        cwd=project,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_machine(process: "subprocess.Popen[str]") -> None:
    """Kill a program and all that it started, as when its machine fails."""
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for each in family:
        each.suspend()  # so that none of them sees another one end
    for each in family:
        each.send_signal(signal.SIGKILL)
    process.wait()
