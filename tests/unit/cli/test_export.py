"""`sensorproof export` refuses in one line what it cannot write, before it takes any time."""

import json
import sys
from pathlib import Path

import pytest

from helpers.project_artifacts import command, make_meta, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model", 3)
    return tmp_path / "model"


def refusal(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    assert command("export", *arguments) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_an_unknown_format(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(capsys, 2, model, tmp_path / "out", "--format", "tflite")
    assert error == "error: format 'tflite': is not known; available: onnx, torch\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_a_place_that_is_taken(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    out = tmp_path / "out"
    if taken == "folder":
        out.mkdir()
    mine = out / "thesis.txt" if taken == "folder" else out
    mine.write_text("mine")
    assert "exists and is not an empty folder; choose another" in refusal(capsys, 2, model, out)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("model.json", None, "model.json: is missing"),
        ("model.json", json.dumps({"layers": [64, 32]}), "is not a model's description"),
        ("model.safetensors", "weights", "model.safetensors: cannot be loaded"),
    ],
)
def test_another_kind_of_model(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, fault: str
) -> None:
    (model / name).unlink()
    if content is not None:
        (model / name).write_text(content)
    assert fault in refusal(capsys, 1, model, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_a_sensor_with_the_name_of_another_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    meta = make_meta({"camera": 3, "present": 1})
    write_model(tmp_path / "model", 3, meta)
    error = refusal(capsys, 2, tmp_path / "model", tmp_path / "out")
    assert "['present'] are names of the graph's other inputs and outputs" in error


def test_onnx_without_its_packages_names_the_extra(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    error = refusal(capsys, 1, model, tmp_path / "out")
    assert error == 'error: onnxscript is not installed; run `pip install "sensorproof[export]"`\n'
