"""The deployments of pipelines/deployments.py on a real Prefect server over PostgreSQL, run by a real worker."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from helpers.servers import BIN, Postgres, answers, free_port, running
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.ingestion.file_manifest import hash_files

PIPELINE = """\
stages:
  prepare:
    cmd: ls ${data.raw} > names.txt && cat names.txt
    deps:
      - ${data.raw}
    outs:
      - names.txt
  last:
    cmd: test ! -e slow || { echo $$ > pid; exec sleep 600; }
    deps:
      - names.txt
"""
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Site]:
    """Set up as docs/how-to/operations.md says."""
    root = tmp_path_factory.mktemp("site") / "project"
    (root / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", "prefect.toml", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "pipelines", root / "pipelines")
    for folder in ("raw", "inbox", "quarantine"):
        (root / "data" / folder).mkdir(parents=True)
    (root / "dvc.yaml").write_text(PIPELINE)
    simulate_batch(root / "data/raw/first", SimulationConfig("first", (48, 60), 3, 1, 3, 5, 0, 0.0))
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "DVC"))}
    environment = {
        **outside,
        "PREFECT_API_URL": url,
        "PREFECT_API_DATABASE_CONNECTION_URL": postgres.database("prefect", "asyncpg"),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "DO_NOT_TRACK": "1",
    }
    server = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    log = root.parent / "worker.log"
    site = Site(root, environment, log)
    with running(
        server, lambda: answers(f"{url}/health"), root.parent / "server.log", environment=environment, folder=root
    ):
        worker = [sys.executable, "pipelines/worker.py"]
        with running(worker, lambda: "started" in log.read_text(), log, environment=environment, folder=root):
            yield site


def test_the_nightly_run_and_the_polling_are_scheduled(site: Site) -> None:
    deployments = {each["name"]: each for each in site.ask("deployments/filter", limit=10)}
    assert deployments["nightly"]["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    assert deployments["polling"]["schedules"][0]["schedule"]["interval"] == 600
    timed = [deployments[name] for name in ("nightly", "polling")]
    assert all(each["global_concurrency_limit"]["limit"] == 1 for each in timed)
    assert deployments["search-worker"]["schedules"] == []
    assert all(str(site.root) not in json.dumps(each) for each in deployments.values())

    def scheduled() -> set[str]:
        runs = site.ask("flow_runs/filter", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}}, limit=100)
        return {run["deployment_id"] for run in runs if run["auto_scheduled"]}

    wait_for(lambda: scheduled() == {each["id"] for each in timed}, site.root.parent / "server.log")
    assert "ERROR" not in (site.root.parent / "server.log").read_text()


def test_field_data_comes_in_and_is_handed_over_to_a_run_of_its_own(site: Site) -> None:
    batch = site.root / "data/inbox/second"
    simulate_batch(batch, SimulationConfig("second", (48, 60), 3, 1, 3, 5, 10, 0.0))
    listing = hash_files(batch)
    state = site.end_of(site.start("field-data/polling", quiet_period_s=0))
    assert state["type"] == "COMPLETED", state
    assert (
        "second ingested (9 frames, 0 quarantined); retrain: there is no champion yet; retraining: handed over"
        in state["message"]
    )
    assert hash_files(site.root / "data/raw/second") == listing
    (run,) = site.runs("retraining")
    state = site.end_of(run["id"])
    assert state["type"] == "COMPLETED", state
    assert "prepare, last ran" in state["message"]
    assert (site.root / "names.txt").read_text() == "first\nsecond\nsecond.dvc\n"
    wait_for(lambda: "second.dvc" in site.log_of(run["id"]), site.worker_log)


def test_a_refused_batch_fails_the_polling_run_once(site: Site) -> None:
    (site.root / "data/inbox/empty").mkdir()
    state = site.end_of(site.start("field-data/polling", quiet_period_s=0))
    assert (state["type"], state["name"]) == ("FAILED", "Refused")
    assert "data/inbox/empty/batch.yaml: is missing" in state["message"]
    assert (site.root / "data/inbox/empty.refused.yaml").exists()
    # Prefect may log that the run failed with a trace of its own code; ours says why in one line.
    assert not re.search(r'File ".*(src/sensorproof|pipelines/flows)/', site.log_of(site.runs("field-data")[0]["id"]))
    state = site.end_of(site.start("field-data/polling", quiet_period_s=0))
    assert (state["type"], state["message"]) == ("COMPLETED", "empty refused before")


def test_a_second_run_waits_and_a_cancelled_one_takes_its_stage_with_it(site: Site) -> None:
    (site.root / "slow").touch()
    (site.root / "data/raw/note.txt").write_text("new")
    pid = site.root / "pid"
    first = site.start("retraining/nightly")
    wait_for(lambda: pid.exists() and pid.read_text().strip(), site.worker_log)
    stage = int(pid.read_text())
    assert is_alive(stage)
    second = site.start("retraining/nightly")
    wait_for(lambda: site.ask(f"flow_runs/{second}")["state_name"] == "AwaitingConcurrencySlot", site.worker_log)
    (site.root / "slow").unlink()
    site.prefect("flow-run", "cancel", first)
    assert site.end_of(first)["type"] == "CANCELLED"
    wait_for(lambda: not is_alive(stage), site.worker_log)
    state = site.end_of(second)
    assert state["type"] == "COMPLETED", state
    assert state["message"].endswith(": last ran; retrain: there is no champion yet")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_by_hand_and_without_a_server_the_flow_runs_all_the_same(site: Site) -> None:
    (site.root / "data/raw/another note.txt").write_text("new")
    environment = {name: value for name, value in site.environment.items() if not name.startswith("PREFECT")}
    command = [sys.executable, "pipelines/flows/retraining.py"]
    done = subprocess.run(command, cwd=site.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "prepare, last ran" in done.stdout
    assert (site.root / ".prefect").is_dir()
    done = subprocess.run(command, cwd=site.root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nothing to do: data ")
