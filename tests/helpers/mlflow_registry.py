"""An MLflow registry on a real database in a folder of its own, and results to register, for tests."""

import importlib.util
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from helpers.project_artifacts import ROOT, write_results
from sensorproof.adapters.mlflow_registry import FOLDER
from sensorproof.files import read_json

GOOD = {"baseline": [50.0, 51.0], "regularized_dropout": [55.0, 56.0]}
BAD = {"baseline": [50.0, 51.0], "regularized_dropout": [49.0, 52.0]}


def run_stage() -> None:
    """Run the stage's script as DVC does, in this process."""
    spec = importlib.util.spec_from_file_location("register", ROOT / "pipelines/stages/register.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and no more: to make them takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # one write to the disk a commit, not three
    return path


@pytest.fixture
def home(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder to work in. The database has an absolute address, for MLflow keeps stores by address."""
    shutil.copy(database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


@pytest.fixture
def client(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home}/mlflow.db")


def runs_of(client: MlflowClient, kind: str) -> list[Run]:
    experiment = client.get_experiment_by_name("sensorproof")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


def promotion() -> dict[str, Any]:
    return read_json(Path("artifacts/summary.json"))["promotion"]


def aliases(client: MlflowClient) -> dict[str, int]:
    return {alias: int(version) for alias, version in client.get_registered_model("sensorproof").aliases.items()}


def stored(client: MlflowClient, version: ModelVersion) -> Path:
    """Where the registry keeps the model folder of a version."""
    return Path(client.get_logged_model(version.source.rpartition("/")[2]).artifact_location) / FOLDER


def register_again(means: dict[str, list[float]], number: int) -> dict[str, Any]:
    """Register other models, on other data, and return the promotion."""
    write_results(Path(), means, first_seed=number, data_hash=f"{number:032d}.dir")
    run_stage()
    return promotion()


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
