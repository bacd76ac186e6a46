"""`sensorproof bench search` on a small project: its figures are those of the searches that it makes."""

import json
from pathlib import Path

import pytest

from helpers.project_artifacts import command
from helpers.search import search_settings, write_frames
from sensorproof.artifacts import PREPARED, QUARANTINED
from sensorproof.files import dump_yaml, parse_yaml


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_frames(tmp_path / PREPARED)
    (tmp_path / QUARANTINED).parent.mkdir()
    (tmp_path / QUARANTINED).write_text("batch,frame_id\n")
    document = parse_yaml(dump_yaml(search_settings(trials=4, steps=6).model_dump(mode="json")))
    document["train"]["steps"] = 6
    (tmp_path / "params.yaml").write_text(dump_yaml(document))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(project: Path, *arguments: str) -> dict[str, float | str]:
    path = project / "figures.json"
    assert command("bench", "search", *arguments, "--json", path) == 0
    own: dict[str, float | str] = json.loads(path.read_text())
    return own


def test_the_gain_is_over_the_hand_set_settings(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = figures(project, "gain", "--seeds", "2")
    assert own["trials"] == 4
    assert float(own["gain in mean, low"]) <= float(own["gain in mean"]) <= float(own["gain in mean, high"])
    if own["chosen"] == "0":
        assert own["gain in mean"] == 0.0
    capsys.readouterr()
    assert figures(project, "gain", "--seeds", "2") == own
    assert "seed 1: test" not in capsys.readouterr().out  # the trainings were kept


def test_early_stops_take_fewer_steps(project: Path) -> None:
    own = figures(project, "pruning", "--trials", "5")
    assert own["steps without"] == 5 * 6
    assert 0 < float(own["share of the steps"]) < 1
    assert float(own["best score lost"]) == pytest.approx(
        float(own["best score without"]) - float(own["best score with early stops"])
    )
