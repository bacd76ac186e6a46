"""`sensorproof configure` changes what it is told to, keeps the rest to the letter, and writes nothing invalid."""

import difflib
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from helpers.paths import ROOT
from sensorproof.cli import app
from sensorproof.errors import SettingsError
from sensorproof.settings import load_settings


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    return path


def configure(params: Path, override: str) -> Exception | None:
    """Run the command; what it raised, if anything."""
    path = params.with_name("override.yaml")
    path.write_text(override)
    result = CliRunner().invoke(app, ["configure", str(path), "--params", str(params)])
    return result.exception if isinstance(result.exception, SettingsError) else None


def changed(params: Path) -> list[str]:
    before, after = (ROOT / "params.yaml").read_text(), params.read_text()
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in diff if line[0] in "+-" and line[:3] not in ("+++", "---")]


def test_only_the_named_keys_change(params: Path) -> None:
    assert configure(params, "train: {steps: 7}\ndata: {size: [32, 40]}\nmodel:\n  pretrained: some/folder\n") is None
    old, new = load_settings(ROOT / "params.yaml"), load_settings(params)
    assert (new.train.steps, new.data.size, new.model.pretrained) == (7, [32, 40], "some/folder")
    assert new.regularizer == old.regularizer
    assert new.train.model_copy(update={"steps": old.train.steps}) == old.train
    assert len(changed(params)) == 6


def test_comments_order_and_null_stay(params: Path) -> None:
    before = params.read_text()
    assert configure(params, f"train: {{steps: {load_settings(params).train.steps}}}") is None
    assert params.read_text() == before


def test_there_and_back(params: Path) -> None:
    before = load_settings(params)
    assert configure(params, "train: {seeds: [5, 6, 7, 8], learning_rate: 1e-4, device: cpu}") is None
    assert load_settings(params).train.learning_rate == 1e-4
    train = before.train
    back = {"train": {"seeds": train.seeds, "learning_rate": train.learning_rate, "device": train.device}}
    assert configure(params, yaml.safe_dump(back)) is None
    assert load_settings(params) == before


@pytest.mark.parametrize(
    ("override", "faults"),
    [
        ("train: {stepz: 7}", ["train.stepz: unknown key"]),
        (
            "train: {steps: many, horizontal_flip: 3}\nspeed: 9",
            ["train.steps", "train.horizontal_flip", "speed: unknown key"],
        ),
        ("train: 5", ["train:"]),
        ("", ["is not a mapping"]),
        ("- 1", ["is not a mapping"]),
        ("train: [", ["cannot be read"]),
        ("train: {steps: 1}\ntrain: {steps: 2}", ["cannot be read"]),
        ("data: {split: {val: 0.9}}", ["leaves nothing to train on"]),
        ("train: {flip: yes please}", ["train.horizontal_flip"]),
    ],
)
def test_nothing_is_written_unless_all_is_right(params: Path, override: str, faults: list[str]) -> None:
    before = params.read_text()
    error = configure(params, override)
    assert error is not None
    assert all(fault in str(error) for fault in faults)
    assert "\n" not in str(error)
    assert params.read_text() == before
    assert sorted(p.name for p in params.parent.iterdir()) == ["override.yaml", "params.yaml"]


def test_missing_files(params: Path) -> None:
    for override, target in ((params.with_name("none.yaml"), params), (params, params.with_name("none.yaml"))):
        result = CliRunner().invoke(app, ["configure", str(override), "--params", str(target)])
        assert isinstance(result.exception, SettingsError)
        assert "none.yaml: cannot be read" in str(result.exception)


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*/params.yaml")), ids=lambda p: p.parent.name)
def test_the_examples_fit_the_projects_file(params: Path, example: Path) -> None:
    assert configure(params, example.read_text()) is None
    assert load_settings(params) != load_settings(ROOT / "params.yaml")
