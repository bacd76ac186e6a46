"""`pip install .` gives the library alone: it imports, trains, scores and predicts without the pipeline's tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT
from helpers.project_artifacts import make_meta, write_model, write_raw

TOOLS = ("dvc", "great_expectations", "mlflow", "optuna", "prefect")
PARTS = [
    "errors",
    "files",
    "hashing",
    "locks",
    "artifacts",
    "settings",
    "resizing",
    "documents",
    "data",
    "alignment",
    "models",
    "regularization",
    "objectives",
    "training",
    "evaluation",
    "experiment",
    "compare",
    "serving",
    "auditing",
    "reporting",
]
IMPORT_ALL = f"""
import importlib, pkgutil, sensorproof
for part in {PARTS!r}:
    module = importlib.import_module(f"sensorproof.{{part}}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"sensorproof.{{part}}."):
        importlib.import_module(found.name)
for tool in {TOOLS!r}:
    try:
        importlib.import_module(tool)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{{tool}} is installed")
"""
USE = """
import torch
from sensorproof import FunctionalEntropy, Segmenter, evaluate, load_model
model = Segmenter({"camera": 3, "depth": 1}, 3, "tiny", 16)
inputs = {"camera": torch.rand(2, 3, 32, 32), "depth": torch.rand(2, 1, 32, 32)}
FunctionalEntropy(0.1)(model, inputs, torch.zeros(2, 32, 32, dtype=torch.int64)).value.backward()
print(sorted(evaluate(load_model("model", "cpu"), "data/raw/yard").subsets))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the library alone, at the versions of the lock file."""
    root = tmp_path_factory.mktemp("library")
    uv = Path(sys.executable).parent / "uv"
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS", "")
    environment = os.environ | {"UV_FIND_LINKS": links}
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, root / "venv"], check=True, env=environment)
    # A copy, because a build leaves files beside its sources.
    shutil.copytree(ROOT / "src", root / "source/src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root / "source")
    interpreter = root / "venv/bin/python"
    constraint = ("--constraint", ROOT / "requirements.lock")
    install = [uv, "pip", "install", "--quiet", "--python", interpreter, *constraint, root / "source"]
    subprocess.run(install, check=True, env=environment)
    return interpreter


def run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_every_part_of_the_library_imports_without_the_tools(python: Path, tmp_path: Path) -> None:
    done = run(python, tmp_path, "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def test_the_library_trains_and_scores(python: Path, tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw/yard")
    write_model(tmp_path / "model", 3, make_meta())
    done = run(python, tmp_path, "-c", USE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "['camera', 'camera+depth', 'depth']"


def test_a_command_that_needs_a_tool_names_the_extra(python: Path, tmp_path: Path) -> None:
    command = python.with_name("sensorproof")
    (tmp_path / "mlflow.db").touch()
    done = run(command, tmp_path, "registry", "status")
    assert done.returncode == 1
    assert "mlflow is not installed" in done.stderr
    assert 'pip install "sensorproof[pipeline]"' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert run(command, tmp_path, "simulate", "batch", "--sites", "3", "--frames", "1").returncode == 0
