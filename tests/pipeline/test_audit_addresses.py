"""`sensorproof audit` of models in MLflow: somebody else's and our own, by address."""

from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from helpers.batches import make_batch
from helpers.foreign_models import PYFUNC
from helpers.project_artifacts import command, make_meta, write_model, write_raw
from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_model import log_model
from sensorproof.adapters.mlflow_registry import Registry
from sensorproof.documents.audit import AuditRecord
from sensorproof.serving.package import hash_model


def audited(address: str, batch: Path) -> AuditRecord:
    assert command("audit", address, batch, "out") == 0
    return AuditRecord.read(Path("out/audit.json"))


def test_a_model_of_somebody_else_by_its_addresses(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = make_batch(home / "yard", sequences=1)
    Path("code.py").write_text(PYFUNC)
    with connect(), mlflow.start_run() as run:
        logged = mlflow.pyfunc.log_model(name="net", python_model="code.py", registered_model_name="theirs")
    client.set_registered_model_alias("theirs", "best", "1")
    for address in ("models:/theirs/1", "models:/theirs@best", f"runs:/{run.info.run_id}/net", logged.model_uri):
        record = audited(address, batch)
        assert (record.model, record.kind, record.missing) == (address, "an MLflow pyfunc", "zero")
        assert record.full == pytest.approx(100.0)
    capsys.readouterr()
    for address, code, fault in (
        ("models:/theirs/9", 2, "version 9: of theirs does not exist"),
        ("models:/theirs@worst", 2, "models:/theirs@worst: does not exist"),
        ("runs:/0123456789abcdef/net", 1, "cannot be fetched"),
    ):
        assert command("audit", address, batch, "elsewhere") == code
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        assert fault in error
    assert not Path("elsewhere").exists()


def test_a_pickled_version_is_refused_by_its_address(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    class Pickled(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            raise AssertionError("was loaded")

    with connect(), mlflow.start_run():
        mlflow.pyfunc.log_model(name="net", python_model=Pickled(), registered_model_name="pickled")
    capsys.readouterr()
    assert command("audit", "models:/pickled/1", make_batch(home / "yard"), "out") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: models:/pickled/1: holds the pickle python_model.pkl, which can run any code")
    assert error.count("\n") == 1


def test_a_model_of_ours_by_its_address_and_as_a_package(home: Path) -> None:
    batch = write_raw(home / "street").root
    write_model(home / "model", 3, make_meta())
    with connect() as connection:
        run = connection.client.create_run(connection.experiment_id).info.run_id
        address, model_id = log_model(connection, run, home / "model", "card")
        registry = Registry(connection, "sensorproof")
        registry.add(address, model_id, run, {tag.MODEL_HASH: hash_model(home / "model")})
    record = audited("models:/sensorproof/1", batch)
    assert (record.kind, record.missing) == ("a model of Sensorproof, its monitor off", "drop")
    assert audited(address, batch).subsets == record.subsets == audited("model", batch).subsets
