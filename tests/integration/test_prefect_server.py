"""The deployments of pipelines/deployments.py on a real Prefect server over PostgreSQL, run by a real worker."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from helpers.prefect_site import Site, make_site_project, serving_site, small_batch, wait_for
from helpers.servers import Postgres, is_alive
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site") / "project"
    make_site_project(root, PIPELINE)
    database = {"PREFECT_API_DATABASE_CONNECTION_URL": postgres.database("prefect", "asyncpg")}
    with serving_site(root, database) as site:
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
    small_batch(batch, 10)
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
