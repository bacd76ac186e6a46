"""Registration against a real MLflow server: PostgreSQL behind it for the runs, S3 for the artifacts."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.project import Project
from helpers.project_artifacts import ROOT, loosen_gates, write_raw, write_results
from helpers.servers import S3, MlflowServer, Postgres, serve_mlflow
from sensorproof.documents import Summary
from sensorproof.files import read_json

STAGE = str(ROOT / "pipelines/stages/register.py")


class Api:
    """MLflow's REST interface, used as any other client uses it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/2.0/mlflow/{path}", timeout=30) as response:
            return json.load(response)

    def runs(self, name: str = "sensorproof") -> list[dict[str, Any]]:
        """Every run of the experiment, its tags and metrics as dictionaries."""
        experiment = self.get(f"experiments/get-by-name?experiment_name={name}")["experiment"]
        query = json.dumps({"experiment_ids": [experiment["experiment_id"]], "max_results": 1000}).encode()
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/runs/search", query, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            runs = json.load(response).get("runs", [])
        for run in runs:
            for part in ("tags", "metrics"):
                run[part] = {entry["key"]: entry["value"] for entry in run["data"].get(part, [])}
        return runs

    def model(self) -> dict[str, Any]:
        return self.get("registered-models/get?name=sensorproof")["registered_model"]

    def aliases(self) -> dict[str, int]:
        return {entry["alias"]: int(entry["version"]) for entry in self.model()["aliases"]}

    def artifact(self, run: dict[str, Any], path: str) -> bytes:
        """An artifact as a browser gets it."""
        with urllib.request.urlopen(f"{self.url}/get-artifact?run_id={run['info']['run_id']}&path={path}") as response:
            return response.read()


class Checkout(Project):
    """A project folder whose runs go to a server."""

    def start(self, server: str, *command: str) -> subprocess.Popen[str]:
        """Start a command, without the server's keys in its environment."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"MLFLOW_TRACKING_URI": server, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.root, env=environment, stdout=pipe, stderr=pipe, text=True)

    def finish(self, process: subprocess.Popen[str]) -> str:
        """Wait for a command and return what it printed."""
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return out

    def run_on(self, server: str, *command: str) -> str:
        return self.finish(self.start(server, *command))


def checkout(root: Path, number: int = 0, mean: float = 56.0) -> Checkout:
    root.mkdir()
    means = {"baseline": [mean - 6, mean - 5], "regularized_dropout": [mean - 1, mean]}
    write_results(root, means, first_seed=number, data_hash=f"{number:032d}.dir")
    return Checkout(root)


@pytest.fixture(scope="module")
def registered(mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    project = checkout(tmp_path_factory.mktemp("registered") / "project")
    assert "promoted: sensorproof version 1 is champion" in project.run_on(mlflow_server.url, sys.executable, STAGE)
    return project


def test_the_server_shows_parent_children_version_and_alias(registered: Checkout, mlflow_server: MlflowServer) -> None:
    api = Api(mlflow_server.url)
    (parent,) = (run for run in api.runs() if run["tags"]["kind"] == "pipeline")
    children = [run for run in api.runs() if run["tags"].get("mlflow.parentRunId") == parent["info"]["run_id"]]
    assert {(run["tags"]["arm"], run["tags"]["seed"]) for run in children} == {
        (arm, seed) for arm in ("baseline", "regularized_dropout") for seed in ("0", "1")
    }
    evaluation = read_json(registered.root / "artifacts/evaluation.json")
    for run in (parent, *children):
        assert run["info"]["status"] == "FINISHED"
        assert run["tags"]["data.hash"] == evaluation["data"]["hash"]
        assert run["inputs"]["dataset_inputs"][0]["dataset"]["digest"] == evaluation["data"]["hash"]
    assert all(run["metrics"]["miou/subset/camera.depth"] in (50.0, 51.0, 55.0, 56.0) for run in children)
    assert api.artifact(parent, "report.html") == (registered.root / "artifacts/report.html").read_bytes()
    assert json.loads(api.artifact(parent, "evaluation.json")) == evaluation
    assert api.aliases()["champion"] == 1
    version = api.get("model-versions/get?name=sensorproof&version=1")["model_version"]
    assert version["run_id"] in {run["info"]["run_id"] for run in children}
    assert version["description"].startswith("Promoted. Arm regularized_dropout, seed 1")


def test_the_artifacts_are_in_s3_and_not_beside_the_client(registered: Checkout, mlflow_server: MlflowServer) -> None:
    names = {path.name for path in mlflow_server.bucket.rglob("*") if path.is_file()}
    assert {"report.html", "evaluation.json", "model.safetensors", "MLmodel"} <= names
    assert not (registered.root / "mlruns").exists()
    assert not (registered.root / "mlflow.db").exists()


def test_unchanged_results_are_found_again(registered: Checkout, mlflow_server: MlflowServer) -> None:
    before = read_json(registered.root / "artifacts/summary.json")
    count = len(Api(mlflow_server.url).runs())
    registered.run_on(mlflow_server.url, sys.executable, STAGE)
    assert len(Api(mlflow_server.url).runs()) == count
    assert read_json(registered.root / "artifacts/summary.json") == before


def test_a_batch_is_predicted_with_the_champion(
    registered: Checkout, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    batch = write_raw(tmp_path / "b")
    command = ("sensorproof", "predict", "models:/sensorproof@champion", str(batch.root), str(tmp_path / "out"))
    assert "5 of 5 frames predicted" in registered.run_on(mlflow_server.url, *command)
    folder = "artifacts/train/regularized_dropout/1/model"
    registered.run_on(mlflow_server.url, "sensorproof", "predict", folder, str(batch.root), str(tmp_path / "local"))
    for file in sorted((tmp_path / "local/labels").iterdir()):
        np.testing.assert_array_equal(Image.open(file), Image.open(tmp_path / "out/labels" / file.name))


def test_the_same_results_at_the_same_time_are_registered_once(
    registered: Checkout, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    project = checkout(tmp_path / "project", 40)
    runs = len(Api(mlflow_server.url).runs())
    versions = count_versions(mlflow_server)
    both = [project.start(mlflow_server.url, sys.executable, STAGE) for _ in range(2)]
    printed = {project.finish(process) for process in both}
    assert len(printed) == 1
    assert len(Api(mlflow_server.url).runs()) == runs + 5
    assert count_versions(mlflow_server) == versions + 1


def count_versions(server: MlflowServer) -> int:
    url = "model-versions/search?filter=name%3D%27sensorproof%27"
    return len(Api(server.url).get(url).get("model_versions", []))


def test_two_checkouts_at_the_same_time_leave_one_champion(
    registered: Checkout, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """In any order: both versions are registered, a promoted one is champion, and the history has every change.

    The models are untrained, so the gates let pass whatever they score.
    """
    api = Api(mlflow_server.url)
    before = api.aliases()
    projects = [checkout(tmp_path / f"project{n}", n, mean=90.0) for n in (60, 80)]
    for project in projects:
        loosen_gates(project.root)
    both = [project.start(mlflow_server.url, sys.executable, STAGE) for project in projects]
    for project, process in zip(projects, both, strict=True):
        project.finish(process)
    decisions = [Summary.read(project.root / "artifacts/summary.json").promotion for project in projects]
    assert len({decision.version for decision in decisions}) == 2
    promoted = [decision.version for decision in decisions if decision.decision == "promoted"]
    after = api.aliases()
    assert after["champion"] in promoted
    assert after["previous"] in {before["champion"], *promoted}
    tags = {tag["key"]: json.loads(tag["value"]) for tag in api.model()["tags"] if tag["key"].startswith("history.")}
    assert set(promoted) <= {change["after"].get("champion") for change in tags.values()}


def test_a_server_without_options_shows_what_was_logged_without_a_server(tmp_path: Path) -> None:
    """`mlflow server` in the project opens the default database with its runs and artifacts."""
    project = checkout(tmp_path / "project")
    project.run(sys.executable, STAGE)
    with serve_mlflow(project.root) as url:
        api = Api(url)
        (parent,) = (run for run in api.runs() if run["tags"]["kind"] == "pipeline")
        assert api.artifact(parent, "report.html") == (project.root / "artifacts/report.html").read_bytes()
        assert api.aliases() == {"champion": 1}
        assert len(api.runs()) == 5


def test_the_test_servers_work(postgres: Postgres, s3: S3) -> None:
    """Databases are separate, and a bucket written through S3 holds the bytes."""
    import boto3

    assert postgres.database("one") != postgres.database("two")
    client = boto3.client("s3", endpoint_url=s3.endpoint, aws_access_key_id=s3.key, aws_secret_access_key=s3.secret)
    s3.bucket("trial")
    client.put_object(Bucket="trial", Key="folder/file", Body=b"bytes")
    assert (s3.folder / "trial/folder/file").read_bytes() == b"bytes"
