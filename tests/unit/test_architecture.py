"""The picture in docs/architecture.md holds: a part imports only parts above it, and each library has one door."""

import ast
from pathlib import Path

import pytest
import yaml

from helpers.paths import ROOT
from sensorproof.settings import TrainSettings

SOURCE = ROOT / "src/sensorproof"
LAYERS = [
    "errors",
    "files",
    "locks",
    "artifacts",
    "settings",
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
    "reporting",
    "adapters",
    "validation",
    "ingestion",
    "promotion",
    "benchmarks",
    "cli",
]
LIBRARIES = {
    "dvc": "dvc",
    "great_expectations": "great_expectations",
    "mlflow": "mlflow",
    "optuna": "optuna",
    "prefect": "flows",
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def layer(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_up_only(path: Path) -> None:
    if layer(path) == "__init__":
        return
    own = LAYERS.index(layer(path))
    for module in imports(path):
        if module.startswith("sensorproof."):
            part = module.split(".")[1]
            assert part not in LAYERS or LAYERS.index(part) <= own, f"{layer(path)} imports {module}"
        assert not module.startswith("pipelines")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_each_library_has_one_door(path: Path) -> None:
    for module in imports(path):
        door = LIBRARIES.get(module.split(".")[0])
        if door:
            assert layer(path) == "adapters", f"{path} imports {module}"
            assert door in path.name


def test_the_picture_names_every_layer_in_order() -> None:
    picture = (ROOT / "docs/architecture.md").read_text()
    places = [picture.index(f"\n    {name}") for name in LAYERS]
    assert places == sorted(places)


PLUMBING = {"artifacts", "cli/errors", "data/batch", "data/metadata", "errors", "files", "locks", "settings"}
"""What every stage has: types, settings, reading and writing. A result that it changes has changed its form as well."""
TRAINS = {"objectives", "regularization", "training"}
"""What other stages import beside what they use; its effect is in artifacts/train, which they depend on."""


def loaded(path: Path) -> set[Path]:
    """The project's modules that a script imports, and those that they import."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        for name in imports(waiting.pop()):
            module = ROOT / "src" / Path(*name.split("."))
            for file in (module.with_suffix(".py"), module / "__init__.py"):
                if file.exists() and file not in found and SOURCE in file.parents:
                    found.add(file)
                    waiting.append(file)
    return found


@pytest.mark.parametrize("stage", ["prepare", "validate", "search", "train", "evaluate", "report", "register"])
def test_a_stage_depends_on_the_code_that_it_runs(stage: str) -> None:
    """Or a change of that code would leave its old results in place."""
    dependencies = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    spared = PLUMBING if stage in {"search", "train"} else PLUMBING | TRAINS
    forgotten = set()
    for file in loaded(ROOT / f"pipelines/stages/{stage}.py"):
        name = file.relative_to(SOURCE).as_posix().removesuffix(".py").removesuffix("/__init__")
        says_little = file in {SOURCE / "__init__.py", SOURCE / "adapters/__init__.py"}
        covered = says_little or any(file.is_relative_to(ROOT / dependency) for dependency in dependencies)
        if not covered and name not in spared and layer(file) not in spared:
            forgotten.add(name)
    assert forgotten == set()


@pytest.mark.parametrize(
    ("stage", "elsewhere"),
    [("search", {"seeds", "steps", "checkpoint_every"}), ("train", {"arms", "seeds"})],  # search's own; the matrix
)
def test_a_stage_that_trains_reads_every_setting_of_training(stage: str, elsewhere: set[str]) -> None:
    """Or a change of one would leave old models in place."""
    params = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["params"]
    assert {f"train.{name}" for name in TrainSettings.model_fields if name not in elsewhere} <= set(params)
