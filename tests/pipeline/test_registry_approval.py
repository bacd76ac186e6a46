"""Approval by hand, dry runs, and what a later run says of a decision that a person took."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.mlflow_registry import BAD, GOOD, aliases, flip_a_byte, promotion, register_again, run_stage, stored
from helpers.project_artifacts import command
from sensorproof.files import read_json, write_json


def ask_for_approval(home: Path) -> None:
    params = home / "params.yaml"
    params.write_text(params.read_text().replace("mode: auto", "mode: approve"))


@pytest.fixture
def waiting(home: Path, client: MlflowClient) -> MlflowClient:
    """Version 1 passes all gates and waits."""
    register_again(GOOD, 0)  # writes params.yaml
    client.delete_registered_model("sensorproof")
    ask_for_approval(home)
    run_stage()
    return client


def test_a_version_that_passes_waits_and_is_approved(
    waiting: MlflowClient, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = promotion()
    assert (decision.decision, decision.version, decision.reasons) == ("waiting", 1, ())
    assert all(gate.passed for gate in decision.gates)
    assert aliases(waiting) == {"challenger": 1}
    assert waiting.get_model_version("sensorproof", "1").description.startswith("Waits for approval.")
    assert command("registry", "approve") == 2
    assert "needs a reason" in capsys.readouterr().err
    assert command("registry", "approve", "--reason", "seen", "--dry-run") == 0
    assert "dry run, nothing was changed: version 1 is champion" in capsys.readouterr().out
    assert aliases(waiting) == {"challenger": 1}
    assert command("registry", "approve", "--reason", "seen by the safety board") == 0
    assert aliases(waiting) == {"champion": 1}
    assert command("registry", "approve", "1", "--reason", "again") == 2
    capsys.readouterr()
    run_stage()
    assert promotion().decision == "promoted"
    assert command("registry", "history") == 0
    assert "approve   champion none -> 1, challenger 1 -> none" in capsys.readouterr().out
    assert command("registry", "lineage") == 0
    assert "safety board" in capsys.readouterr().out


def test_a_version_that_a_person_refused_stays_refused(
    waiting: MlflowClient, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("registry", "refuse") == 2
    assert command("registry", "refuse", "--reason", "wait for the winter data") == 0
    assert aliases(waiting) == {}
    run_stage()
    decision = promotion()
    assert decision.decision == "refused"
    assert decision.reasons[-1].startswith("approval: refused by ")
    assert decision.reasons[-1].endswith(": wait for the winter data")
    assert aliases(waiting) == {}
    assert command("registry", "approve", "1", "--reason", "no") == 2
    assert "does not wait for approval" in capsys.readouterr().err


def test_what_was_forced_is_what_a_later_run_reports(home: Path, client: MlflowClient) -> None:
    assert register_again(BAD, 0).decision == "refused"
    assert command("registry", "promote", "--force", "--reason", "the only one") == 0
    run_stage()
    assert promotion().decision == "promoted"
    assert any(not gate.passed for gate in promotion().gates)
    assert client.get_model_version("sensorproof", "1").tags["forced"] == "yes"


def test_a_dry_run_changes_nothing_and_still_refuses(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register_again(GOOD, 0)
    register_again(BAD, 10)
    before = client.get_registered_model("sensorproof")
    assert command("registry", "promote", "--dry-run") == 4
    assert command("registry", "promote", "--force", "--reason", "trial", "--dry-run") == 0
    assert command("registry", "rollback", "--dry-run") == 2
    assert "nothing was changed" in capsys.readouterr().out
    after = client.get_registered_model("sensorproof")
    assert (before.aliases, before.tags) == (after.aliases, after.tags)


@pytest.mark.usefixtures("fresh_process")
def test_a_model_that_cannot_predict_is_never_champion(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its files are those that were registered, but they describe another model."""
    register_again(GOOD, 0)
    register_again(BAD, 10)
    version = client.get_model_version("sensorproof", "2")
    folder = stored(client, version)
    description = read_json(folder / "model.json")
    description["decoder_channels"] *= 2
    write_json(folder / "model.json", description)
    from sensorproof.serving.package import hash_model

    client.set_model_version_tag("sensorproof", "2", "model.sha256", hash_model(folder))
    assert command("registry", "promote", "2", "--force", "--reason", "trial") in (1, 4)
    assert capsys.readouterr().err.count("\n") == 1
    assert aliases(client)["champion"] == 1


def test_rollback_tries_what_it_restores(home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    register_again(GOOD, 0)
    register_again(BAD, 10)
    assert command("registry", "promote", "2", "--force", "--reason", "trial") == 0
    flip_a_byte(stored(client, client.get_model_version("sensorproof", "1")) / "model.json")
    assert command("registry", "rollback") == 4
    assert "its files hash to" in capsys.readouterr().err
    assert aliases(client) == {"champion": 2, "previous": 1}


def test_lineage_names_all_that_a_version_comes_from(
    home: Path, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register_again(GOOD, 0)
    capsys.readouterr()
    assert command("registry", "lineage", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    names = {line.split("  ")[0] for line in lines if not line.startswith(" ")}
    assert {"version", "training", "model", "code", "data", "validation", "settings", "search"} <= names
    assert {"scores", "decision", "alias"} <= names
    text = "\n".join(lines)
    assert f"{'0' * 32}.dir" in text
    assert "train.steps: " in text
    assert "champion (register by " in text
    assert command("registry", "lineage", "7") == 2
