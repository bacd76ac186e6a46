"""A registry that earlier releases wrote is still read: its arm was called `default`, its settings had other names."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.mlflow_registry import BAD, BEST, GOOD, aliases, register_again, register_old_version
from helpers.project_artifacts import command, loosen_gates, write_model
from sensorproof.documents.promotion import GAIN_CHAMPION
from sensorproof.models.storage import load_model

MODEL_JSON = """{
  "backbone": "tiny", "decoder_channels": 16,
  "sensors": {
    "camera": {"kind": "camera", "channels": 3, "range": [0.0, 255.0], "nodata": null,
               "mean": [0.4, 0.4, 0.4], "std": [0.25, 0.25, 0.25]},
    "depth": {"kind": "depth", "channels": 1, "range": [0.0, 50.0], "nodata": 0.0, "mean": [0.4], "std": [0.25]}
  },
  "reference": "camera",
  "classes": [{"id": 3, "name": "ground"}, {"id": 13, "name": "box"}, {"id": 23, "name": "wall"}],
  "size": [32, 40]
}"""


@pytest.fixture
def old_registry(client: MlflowClient) -> MlflowClient:
    """Version 1 is champion, version 2 is challenger."""
    register_old_version(client, GOOD, 0, "champion")
    register_old_version(client, BAD, 10, "challenger")
    return client


def test_versions_and_history_are_listed(old_registry: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("registry", "status") == 0
    lines = [line.split()[:5] for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [
        ["2", "challenger", "regularized_dropout", "1", "56.0"],
        ["1", "champion", "regularized_dropout", "1", "56.0"],
    ]
    assert command("registry", "history") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026-01-01 00:00:00  register  champion none -> 1 (root): all gates passed"
    assert "challenger none -> 2" in lines[1]


def test_an_old_version_is_promoted_by_hand_and_rolled_back(
    home: Path, old_registry: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("registry", "promote") == 4
    assert "sensorproof version 2: gain_baseline: the gain in mean mIoU" in capsys.readouterr().err
    loosen_gates(home)
    assert command("registry", "promote") == 0
    assert aliases(old_registry) == {"champion": 2, "previous": 1}
    description = old_registry.get_model_version("sensorproof", "2").description
    assert description.startswith("Promoted. Arm regularized_dropout, seed 1")
    assert "gain_champion" in description
    assert command("registry", "rollback") == 0
    assert aliases(old_registry) == {"champion": 1, "previous": 2}
    capsys.readouterr()
    assert command("registry", "history") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_new_candidate_is_compared_with_an_old_champion(home: Path, old_registry: MlflowClient) -> None:
    refused = register_again({"baseline": [3.0, 3.0], "regularized_dropout": [5.0, 5.1]}, 20)
    assert refused.reasons[0].startswith("gain_champion: the gain in mean mIoU")
    promoted = register_again(BEST, 30)
    assert (promoted.decision, promoted.version) == ("promoted", 4)
    (gate,) = (gate for gate in promoted.gates if gate.name == GAIN_CHAMPION)
    assert gate.value is not None
    assert aliases(old_registry) == {"challenger": 3, "champion": 4, "previous": 1}


def test_the_same_model_trained_again_stays_champion(home: Path, old_registry: MlflowClient) -> None:
    """The weights are those of the old version, which is found by their hash; no second one is registered."""
    again = register_again(GOOD, 0)
    assert (again.decision, again.version) == ("promoted", 1)
    assert aliases(old_registry) == {"challenger": 2, "champion": 1}


def test_the_model_folder_of_an_old_version_loads(tmp_path: Path) -> None:
    description = write_model(tmp_path / "model", 0)
    assert description.model_dump(mode="json") == json.loads(MODEL_JSON)
    (tmp_path / "model/model.json").write_text(MODEL_JSON)
    assert load_model(tmp_path / "model")[1] == description
