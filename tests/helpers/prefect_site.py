"""A project with a Prefect server and a worker, both real, as docs/how-to/operations.md sets them up."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.paths import ROOT
from helpers.servers import BIN, answers, free_port, running
from sensorproof.data.simulator import SimulationConfig, simulate_batch

PATIENCE = 240
"""Seconds for a run to end, on a busy machine."""


@dataclass(frozen=True)
class Site:
    """A project with a server and a worker."""

    root: Path
    environment: dict[str, str]
    worker_log: Path

    def prefect(self, *arguments: str) -> str:
        command = [BIN / "prefect", "--no-prompt", *arguments]
        done = subprocess.run(
            list(map(str, command)), cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str, **body: Any) -> Any:
        """POST to the server's API, or GET where there is nothing to say."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(
            f"{self.environment['PREFECT_API_URL']}/{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """Runs of a flow that have begun or have been asked for, the latest first."""
        found = self.ask("flow_runs/filter", flows={"name": {"any_": [flow]}}, sort="EXPECTED_START_TIME_DESC")
        return [run for run in found if not run["auto_scheduled"]]

    def start(self, deployment: str, **parameters: object) -> str:
        """Ask for a run; return its id."""
        options = [option for name, value in parameters.items() for option in ("--param", f"{name}={value}")]
        printed = self.prefect("deployment", "run", deployment, *options)
        return printed.split("UUID: ")[1].split()[0]

    def end_of(self, run: str) -> dict[str, Any]:
        """The state in which a run has ended."""
        final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        wait_for(lambda: self.ask(f"flow_runs/{run}")["state_type"] in final, self.worker_log)
        return self.ask(f"flow_runs/{run}")["state"]  # type: ignore[no-any-return]

    def log_of(self, run: str) -> str:
        lines = self.ask("logs/filter", logs={"flow_run_id": {"any_": [run]}}, limit=200)
        return "\n".join(line["message"] for line in lines)


def wait_for(condition: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-4000:]
        time.sleep(0.5)


def small_batch(root: Path, seed: int = 0) -> None:
    """A batch of nine frames."""
    simulate_batch(root, SimulationConfig(root.name, (48, 60), 3, 1, 3, 5, seed, 0.0))


def make_site_project(root: Path, pipeline: str) -> None:
    """A project whose stages are those of a small dvc.yaml, with one batch."""
    (root / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", "prefect.toml", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "pipelines", root / "pipelines")
    for folder in ("raw", "inbox", "quarantine"):
        (root / "data" / folder).mkdir(parents=True)
    (root / "dvc.yaml").write_text(pipeline)
    small_batch(root / "data/raw/first")


@contextmanager
def serving_site(root: Path, variables: Mapping[str, str]) -> Iterator[Site]:
    """Run a server and a worker for a project.

    Args:
        root: the project.
        variables: further variables of the environment, such as the database.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "DVC"))}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = {**outside, "PREFECT_API_URL": url, "PATH": path, "DO_NOT_TRACK": "1", **variables}
    server = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = root.parent / "worker.log"
    with running(
        server, lambda: answers(f"{url}/health"), root.parent / "server.log", environment=environment, folder=root
    ):
        worker = [sys.executable, "pipelines/worker.py"]
        with running(worker, lambda: "started" in log.read_text(), log, environment=environment, folder=root):
            yield Site(root, environment, log)
