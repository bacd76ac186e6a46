"""`sensorproof platform`: the real servers come up, are found again, and leave nothing behind."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from helpers.paths import ROOT
from helpers.servers import BIN, free_port

NAMES = ("mlflow", "prefect", "optuna")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("platform") / "project"
    root.mkdir()
    for name in ("params.yaml", "prefect.toml", "supervisord.conf", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "pipelines", root / "pipelines")
    yield root
    platform(root, "down")


def platform(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW"))}
    command = [str(BIN / "sensorproof"), "platform", *arguments]
    environment = {**outside, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def left_behind(root: Path) -> list[str]:
    """Name the processes that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(root):
                found.append(" ".join(process.cmdline())[:200])
        except (psutil.Error, OSError):
            continue
    return found


def test_it_comes_up_once_and_goes_down_whole(project: Path) -> None:
    ports = {name: free_port() for name in NAMES}
    options = [option for name, port in ports.items() for option in (f"--{name}-port", str(port))]
    first = platform(project, "up", *options)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("ready after ")
    assert all(f"http://127.0.0.1:{port}" in first.stdout for port in ports.values())
    again = platform(project, "up")
    assert again.returncode == 0
    assert again.stdout.splitlines()[1:] == first.stdout.splitlines()[1:]
    assert "already running" in again.stdout
    states = platform(project, "status").stdout.split()
    assert sorted(states[::2]) == ["mlflow", "optuna", "prefect", "worker"]
    assert set(states[1::2]) == {"running"}
    api = f"http://127.0.0.1:{ports['prefect']}/api"
    deployments = {each["name"]: each for each in httpx.post(f"{api}/deployments/filter", json={}).json()}
    assert deployments["nightly"]["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    assert deployments["polling"]["schedules"][0]["schedule"]["interval"] == 600
    assert str(project) not in str(deployments)
    for port in ports.values():
        listening = [each for each in psutil.net_connections("tcp") if each.laddr and each.laddr.port == port]
        assert {each.laddr.ip for each in listening if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    down = platform(project, "down")
    assert (down.returncode, down.stdout) == (0, "ended\n")
    assert left_behind(project) == []
    assert platform(project, "down").stdout == platform(project, "status").stdout == "nothing runs\n"


def test_a_taken_port_is_named_and_nothing_is_started(project: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        free = ["--mlflow-port", str(free_port()), "--prefect-port", str(free_port())]
        done = platform(project, "up", *free, "--optuna-port", str(port))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port}: the port of optuna is taken" in line
    assert "--optuna-port" in line
    assert left_behind(project) == []
