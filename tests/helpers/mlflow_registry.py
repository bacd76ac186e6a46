"""An MLflow registry on a real database in a temporary project, and results to register."""

import importlib.util
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from helpers.project_artifacts import ROOT, recount_as_invented, write_results
from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_model import log_model
from sensorproof.adapters.mlflow_registry import FOLDER
from sensorproof.artifacts import EVALUATION, SUMMARY, run_folder
from sensorproof.documents import PromotionRecord, Summary
from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.promotion import act
from sensorproof.serving.package import hash_model
from sensorproof.serving.trial import predict_each_missing, try_model

GOOD = {"baseline": [50.0, 51.0], "regularized_dropout": [55.0, 56.0]}
BAD = {"baseline": [50.0, 51.0], "regularized_dropout": [49.0, 52.0]}
BEST = {"baseline": [80.0, 80.0], "regularized_dropout": [90.0, 91.0]}
"""Better than GOOD."""


def load_stage(name: str) -> ModuleType:
    """Load the script of a stage as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"pipelines/stages/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_stage() -> None:
    """Run stage register as DVC does, in this process."""
    load_stage("register").main()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and no rows: creating them takes seconds."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # one write to the disk a commit, not three
    return path


@pytest.fixture
def home(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder as working folder. The database address is absolute, as MLflow caches stores by it.

    Models of `write_results` have the scores that it invents, also when they are scored again. Models are tried in this
    process, which saves seconds a promotion; `fresh_process` tries them as they are in use.
    """
    monkeypatch.setattr("sensorproof.serving.rescore.recount", recount_as_invented)
    monkeypatch.setattr(act, "try_model", try_here)
    shutil.copy(database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def try_here(folder: Path, name: str) -> None:
    """What `try_model` does, without a process of its own."""
    try:
        predict_each_missing(folder)
    except SensorproofError as error:
        raise RejectedError(name, error.fault, error.fix) from error


@pytest.fixture
def fresh_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Try models in a process of their own."""
    monkeypatch.setattr(act, "try_model", try_model)


@pytest.fixture
def client(home: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{home}/mlflow.db")


def runs_of(client: MlflowClient, kind: str) -> list[Run]:
    experiment = client.get_experiment_by_name("sensorproof")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


def promotion() -> PromotionRecord:
    """The decision in summary.json."""
    return Summary.read(SUMMARY).promotion


def aliases(client: MlflowClient) -> dict[str, int]:
    return {alias: int(version) for alias, version in client.get_registered_model("sensorproof").aliases.items()}


def stored(client: MlflowClient, version: ModelVersion) -> Path:
    """The folder in which the registry keeps the model folder of a version."""
    return Path(client.get_logged_model(version.source.rpartition("/")[2]).artifact_location) / FOLDER


def register_again(means: dict[str, list[float]], number: int, data: int | None = None) -> PromotionRecord:
    """Register other models, on other data unless `data` names them, and return the decision."""
    write_results(Path(), means, first_seed=number, data_hash=f"{number if data is None else data:032d}.dir")
    run_stage()
    return promotion()


def register_old_version(client: MlflowClient, means: dict[str, list[float]], number: int, alias: str) -> None:
    """Register a version as earlier releases did, whose arm and settings had other names, and set its alias.

    The tags and documents are written literally, by MLflow's client.
    """
    write_results(Path(), means, first_seed=number, data_hash=f"{number:032d}.dir")
    evaluation = read_json(EVALUATION)
    del evaluation["comparison"], evaluation["data"]["trained_on"]
    evaluation["arms"] = {arm.replace("regularized_dropout", "default"): s for arm, s in evaluation["arms"].items()}
    old_names = {"variant": "form", "batch_fraction": "fraction", "every_n_steps": "every"}
    old_names |= {"relevance_weighting": "weigh"}
    best = evaluation["search"]["best"]
    evaluation["search"]["best"] = {old_names.get(key, key): value for key, value in best.items()}
    old_evaluation = Path("old/evaluation.json")
    write_json(old_evaluation, evaluation)
    folder = run_folder("regularized_dropout", 1) / "model"
    with connect() as connection:
        keys = {"data.hash": f"{number:032d}.dir", "params.hash": "0" * 64, "evaluation.hash": f"{number:064d}"}
        tags = {**keys, "git.commit": "0" * 40, "candidate": "default", "kind": "pipeline"}
        parent = client.create_run(connection.experiment_id, run_name="pipeline 00000000", tags=tags).info.run_id
        client.log_artifact(parent, str(old_evaluation))
        tags = {**keys, "git.commit": "0" * 40, "arm": "default", "seed": "1", "model.sha256": hash_model(folder)}
        tags |= {"kind": "training", "mlflow.parentRunId": parent}
        child = client.create_run(connection.experiment_id, run_name="default seed 1", tags=tags).info.run_id
        uri, model_id = log_model(connection, child, folder, "A model of an earlier version.")
        for run in (child, parent):
            client.set_terminated(run)
    if not client.search_registered_models("name = 'sensorproof'"):
        client.create_registered_model("sensorproof")
    tags = {**keys, "run.parent": parent, "arm": "default", "seed": "1", "miou.mean": "56.0"}
    tags |= {"model.sha256": hash_model(folder), "decision": "promoted", "gates": "[]", "forced": "no"}
    tags |= {"reasons": "none"}
    version = client.create_model_version("sensorproof", uri, run_id=child, tags=tags, model_id=model_id).version
    change = {"time": f"2026-01-{number + 1:02d}T00:00:00.000000+00:00", "action": "register", "forced": False}
    change |= {"before": {alias: None}, "after": {alias: int(version)}, "reason": "all gates passed", "by": "root"}
    client.set_registered_model_tag("sensorproof", f"history.202601{number + 1:02d}000000000000", json.dumps(change))
    client.set_registered_model_alias("sensorproof", alias, version)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
