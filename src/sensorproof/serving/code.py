"""The part of our own code that a packaged model needs, and the libraries that this part needs."""

import ast
import shutil
import sys
from importlib import metadata
from pathlib import Path

import sensorproof

PACKAGE = Path(sensorproof.__file__).parent
NAME = PACKAGE.name


def needed_files(*modules: str) -> list[Path]:
    """Our files that these modules import, and what those import in turn, anywhere in them; nothing is executed."""
    waiting, found = set(modules), set[Path]()
    while waiting:
        parts = waiting.pop().split(".")
        for depth in range(1, len(parts) + 1):
            path = _module_file(parts[:depth])
            if path is not None and path not in found:
                found.add(path)
                waiting |= {module for module in imported(path) if module.split(".")[0] == NAME}
    return sorted(found)


def _module_file(parts: list[str]) -> Path | None:
    """Where a module of ours lies; None for a name that a module defines."""
    base = PACKAGE.parent.joinpath(*parts)
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def imported(path: Path) -> set[str]:
    """Every module, and every name out of a module, that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def copy_code(files: list[Path], into: Path) -> Path:
    """Copy our files into a folder, as a package that can be imported from there; return the package's folder."""
    for path in files:
        target = into / path.relative_to(PACKAGE.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return into / NAME


def requirements(files: list[Path]) -> list[str]:
    """The libraries that these files import, as installed here, less a build's own suffix (`+cpu`)."""
    modules = {name.split(".")[0] for path in files for name in imported(path)}
    known = metadata.packages_distributions()
    # Several distributions may share a module (mlflow, mlflow-tracing): the one of its name is meant.
    foreign = [module for module in modules - {NAME} - sys.stdlib_module_names if module in known]
    found = {module if module in known[module] else known[module][0] for module in foreign}
    return [f"{name}=={metadata.version(name).split('+')[0]}" for name in sorted(found)]
