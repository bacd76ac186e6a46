"""The picture in docs/architecture.md holds: a part imports only parts above it, and each library has one door."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src/sensorproof"
LAYERS = [
    "errors",
    "files",
    "locks",
    "artifacts",
    "settings",
    "data",
    "alignment",
    "models",
    "regularization",
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
