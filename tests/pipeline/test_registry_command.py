"""`sensorproof registry`: promotion, rollback and history, on a real MLflow database and real models."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.mlflow_registry import BAD, GOOD, aliases, flip_a_byte, register_again, stored
from helpers.project_artifacts import command, write_results
from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_registry import Registry
from sensorproof.data.dataset import PreparedDataset
from sensorproof.serving.rescore import rescore
from sensorproof.settings import load_settings


def test_promotion_by_hand_evaluates_the_gates_again(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two refused versions: with lower thresholds, only the better one may be champion."""
    for number in (0, 10):
        assert register_again(BAD, number).decision == "refused"
    assert aliases(client) == {"challenger": 2}
    assert command("registry", "promote") == 4
    error = capsys.readouterr().err
    assert error.startswith("error: sensorproof version 2: gain_mean: ")
    assert error.count("\n") == 1
    params = home / "params.yaml"
    params.write_text(params.read_text().replace("min_gain_mean: 0.0", "min_gain_mean: -50.0"))
    data, settings = PreparedDataset(Path("artifacts/prepared")), load_settings()
    with connect() as connection:
        registry = Registry(connection)
        scores = {}
        for number in (1, 2):
            scores[number] = rescore(registry.fetch(registry.version(number), home / str(number)), data, settings)
    worse, better = sorted(scores, key=lambda n: scores[n].mean)
    assert scores[better].mean > scores[worse].mean
    assert command("registry", "promote", str(worse)) == 0
    assert command("registry", "promote", str(better)) == 0
    assert aliases(client)["champion"] == better
    assert aliases(client)["previous"] == worse
    assert command("registry", "promote", str(worse)) == 4
    assert "loss_champion: its mean lies" in capsys.readouterr().err
    assert client.get_model_version("sensorproof", str(better)).tags["decision"] == "promoted"


def test_a_forced_promotion_needs_a_reason_and_is_in_the_history(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register_again(GOOD, 0)
    register_again(BAD, 10)
    assert command("registry", "promote", "2", "--force") == 2
    assert aliases(client)["champion"] == 1
    assert command("registry", "promote", "2", "--force", "--reason", "the camera's heater is fixed") == 0
    assert aliases(client) == {"champion": 2, "previous": 1}
    assert command("registry", "promote", "2") == 2
    assert command("registry", "rollback", "--reason", "worse at night") == 0
    assert aliases(client) == {"champion": 1, "previous": 2}
    capsys.readouterr()
    assert command("registry", "history") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "register  champion none -> 1" in lines[0]
    assert "register  challenger none -> 2" in lines[1]
    assert "promote   previous none -> 1, champion 1 -> 2, challenger 2 -> none" in lines[2]
    assert "against the gates): the camera's heater is fixed" in lines[2]
    assert "rollback  champion 2 -> 1, previous 1 -> 2" in lines[3]
    assert command("registry", "status") == 0
    status = capsys.readouterr().out
    versions = [line.split() for line in status.splitlines()[1:] if not line.startswith(" ")]
    assert [columns[:2] for columns in versions] == [["2", "previous"], ["1", "champion"]]
    assert [columns[5] for columns in versions] == ["forced", "promoted"]


def test_files_that_have_changed_are_never_promoted(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, means in enumerate((GOOD, BAD)):
        register_again(means, 10 * number)
    command("registry", "promote", "2", "--force", "--reason", "trial")
    command("registry", "rollback")
    for version in client.search_model_versions("name = 'sensorproof'"):
        flip_a_byte(stored(client, version) / "model.safetensors")
    before = aliases(client)
    assert command("registry", "promote", "2", "--force", "--reason", "trial") == 4
    assert command("registry", "rollback") == 4
    assert capsys.readouterr().err.count("its files hash to") == 2
    assert aliases(client) == before
    assert command("predict", "models:/sensorproof@champion", home, home / "out") == 1


def test_a_missing_registry_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert command("registry", "status") == 1
    assert "mlflow.db: does not exist yet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    assert command("registry", "status") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: MLflow at http://me:…@127.0.0.1:9: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [("promote",), ("promote", "7"), ("rollback",)])
def test_a_missing_version_or_alias_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    write_results(home, GOOD)
    assert command("registry", *arguments) == 2
    assert "does not exist" in capsys.readouterr().err
    assert command("registry", "status") == 0
    assert "no version is registered yet" in capsys.readouterr().out
