"""The picture in docs/explanation/architecture.md, the directions of imports, and the code that each stage names."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from helpers.paths import ROOT
from sensorproof.adapters.optuna import LIMITS
from sensorproof.serving.code import imported_names, needed_files
from sensorproof.settings import SearchSettings, TrainSettings

SOURCE = ROOT / "src/sensorproof"
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAYERS = next(contract["layers"] for contract in LINTER["contracts"] if contract["type"] == "layers")[::-1]
"""The parts, from the lowest to the highest."""
LIBRARIES = ("dvc", "great_expectations", "mlflow", "optuna", "prefect")


def test_imports_have_their_directions() -> None:
    """The contracts of import-linter in pyproject.toml: layers, no circles, and one door for each library."""
    check = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([check, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted((SOURCE / "adapters").glob("*.py")), ids=lambda p: p.name)
def test_each_adapter_is_of_one_library(path: Path) -> None:
    used = {name.split(".")[0] for name in imported_names(path)} & set(LIBRARIES)
    assert all(library in path.name for library in used), f"{path.name} imports {used}"


def test_the_picture_names_every_layer_in_order() -> None:
    picture = (ROOT / "docs/explanation/architecture.md").read_text()
    places = [picture.index(f"\n    {name}") for name in LAYERS]
    assert places == sorted(places)


PLUMBING = {
    "artifacts", "cache", "console", "documents", "errors", "files", "hashing", "locks", "parallel", "progress",
    "settings",
}  # fmt: skip
"""What every stage has: types, settings, reading and writing. Where one changes a result, its form changes too."""
PLUMBING_MODULES = {"data/batch", "data/batch_info", "data/file_reading", "data/metadata"}
TRAINS = {"batch_share", "objectives", "regularization", "resizing", "training"}
TRAINS_MODULES = {"data/crops", "data/full_frames", "data/photometric"}
"""What other stages import beside what they use; its effect is in artifacts/train, which they depend on."""


def says_nothing(file: Path) -> bool:
    """Whether a file decides no result: a package's docstring, the public names, the tools' environment."""
    if file in {SOURCE / "__init__.py", SOURCE / "adapters/__init__.py"}:
        return True
    return file.name == "__init__.py" and len(ast.parse(file.read_text()).body) <= 1


@pytest.mark.parametrize(
    "stage", ["prepare", "validate", "champion", "search", "train", "evaluate", "report", "register"]
)
def test_a_stage_depends_on_the_code_that_it_runs(stage: str) -> None:
    """Otherwise a change of that code would leave its old results in place."""
    dependencies = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    spared = PLUMBING if stage in {"search", "train"} else PLUMBING | TRAINS
    spared_modules = PLUMBING_MODULES if stage in {"search", "train"} else PLUMBING_MODULES | TRAINS_MODULES
    forgotten = set()
    for file in needed_files(*imported_names(ROOT / f"pipelines/stages/{stage}.py")):
        name = file.relative_to(SOURCE).as_posix().removesuffix(".py").removesuffix("/__init__")
        covered = says_nothing(file) or any(file.is_relative_to(ROOT / dependency) for dependency in dependencies)
        if not covered and name not in spared_modules and name.split("/")[0] not in spared:
            forgotten.add(name)
    assert forgotten == set()


STAGES = ["prepare", "validate", "champion", "search", "train", "evaluate", "report", "registry", "register"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_names_only_code_that_is_there(stage: str) -> None:
    dependencies = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    code = [dependency for dependency in dependencies if dependency.startswith(("src/", "pipelines/"))]
    assert [dependency for dependency in code if not (ROOT / dependency).exists()] == []


@pytest.mark.parametrize(
    ("stage", "elsewhere"),
    [("search", {"seeds", "steps", "checkpoint_every"}), ("train", {"arms", "seeds"})],  # search's own; the matrix
)
def test_a_stage_that_trains_reads_every_setting_of_training(stage: str, elsewhere: set[str]) -> None:
    """Otherwise a change of one would leave old models in place."""
    params = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["params"]
    assert {f"train.{name}" for name in TrainSettings.model_fields if name not in elsewhere} <= set(params)


def test_the_search_depends_on_every_setting_that_may_change_its_result() -> None:
    params = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["search"]["params"]
    whose = {"workers", "storage"}
    assert {f"search.{name}" for name in SearchSettings.model_fields if name not in whose} <= set(params)
    assert {f"promotion.{name}" for name in LIMITS} <= set(params)
