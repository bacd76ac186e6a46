"""`sensorproof registry`: promotion, rollback and history, on a real MLflow database and real models."""

from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from helpers.mlflow_registry import BAD, GOOD, aliases, flip_a_byte, register_again, stored
from helpers.project_artifacts import command, write_results
from sensorproof.promotion import PromotionDecision


def test_promotion_by_hand_evaluates_the_gates_again(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two refused versions: with lower thresholds, only the better one may be champion."""
    better = {"baseline": [50.0, 51.0], "regularized_dropout": [47.0, 54.0]}
    for number, means in ((0, BAD), (10, better)):
        assert register_again(means, number, data=0).decision == "refused"
    assert aliases(client) == {"challenger": 2}
    assert command("registry", "promote") == 4
    error = capsys.readouterr().err
    assert error.startswith("error: sensorproof version 2: gain_baseline: ")
    assert error.count("\n") == 1
    params = home / "params.yaml"
    params.write_text(params.read_text().replace("min_gain_baseline: 0.0", "min_gain_baseline: -50.0"))
    assert command("registry", "promote", "1") == 0
    assert command("registry", "promote", "2") == 0
    assert aliases(client) == {"champion": 2, "previous": 1}
    assert command("registry", "promote", "1") == 4
    error = capsys.readouterr().err
    assert "gain_champion: the gain in mean mIoU over champion version 2 is only sure to exceed -2.00 points" in error
    tags = client.get_model_version("sensorproof", "2").tags
    assert tags["decision"] == "promoted"
    assert PromotionDecision.from_tags(2, tags).holdout is not None


def test_a_version_that_was_evaluated_on_other_data_is_refused(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register_again(BAD, 0)
    register_again(BAD, 10)
    params = home / "params.yaml"
    params.write_text(params.read_text().replace("min_gain_baseline: 0.0", "min_gain_baseline: -50.0"))
    assert command("registry", "promote", "1") == 4
    assert "version 1: data: it was evaluated on data 000000000000, the present data are" in capsys.readouterr().err
    label = np.load("artifacts/prepared/label.npy")
    label[-1, 20:] = 2
    np.save("artifacts/prepared/label.npy", label)
    assert command("registry", "promote", "2") == 4
    assert "version 2: data: it was evaluated on a hold-out of 8 frames (" in capsys.readouterr().err
    assert aliases(client) == {"challenger": 2}


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
