"""Stage `registry` counts how often the registry was found without what was registered."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.mlflow_registry import GOOD, load_stage, register_again
from sensorproof.artifacts import REGISTRY
from sensorproof.documents import RegistryState
from sensorproof.registration import find_loss, update_state


def losses() -> int:
    """Run the stage and return its count."""
    load_stage("registry").main()
    return RegistryState.read(REGISTRY).losses


def test_before_the_first_run_nothing_is_lost(home: Path) -> None:
    assert find_loss() is None
    assert losses() == 0


def test_a_deleted_version_and_a_new_server_are_losses(
    home: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_again(GOOD, 0)
    assert [losses(), losses()] == [0, 0]
    client.delete_model_version("sensorproof", "1")
    assert find_loss() == "version 1 is no longer in the registry"
    assert losses() == 1
    register_again(GOOD, 0)
    assert losses() == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/other.db")
    assert losses() == 2


def test_a_version_of_another_run_under_the_same_number_is_a_loss(home: Path, client: MlflowClient) -> None:
    register_again(GOOD, 0)
    client.set_model_version_tag("sensorproof", "1", "data.hash", "another")
    assert find_loss() == "version 1 of the registry comes from another run"


def test_a_server_that_does_not_answer_is_no_loss(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training needs no server; stage register says so when it is due."""
    register_again(GOOD, 0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    message = update_state()
    assert message is not None
    assert message.startswith("not compared with the registry: MLflow at http://127.0.0.1:9")
    assert RegistryState.read(REGISTRY).losses == 0
