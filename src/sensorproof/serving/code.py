"""Find and copy the part of our own code that a packaged model needs, and name the libraries that this part needs."""

import ast
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import sensorproof

PACKAGE = Path(sensorproof.__file__).parent
_NAME = PACKAGE.name


def needed_files(*modules: str) -> list[Path]:
    """List our files that these modules import, and what those import in turn; nothing is executed."""
    waiting, needed = set(modules), set[Path]()
    while waiting:
        parts = waiting.pop().split(".")
        for depth in range(1, len(parts) + 1):
            path = _module_file(parts[:depth])
            if path is not None and path not in needed:
                needed.add(path)
                waiting |= {module for module in imported_names(path) if module.split(".")[0] == _NAME}
    return sorted(needed)


def _module_file(parts: list[str]) -> Path | None:
    """Return where a module of ours lies; None for a name that a module defines."""
    base = PACKAGE.parent.joinpath(*parts)
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def imported_names(path: Path) -> set[str]:
    """List every module, and every name out of a module, that a file imports when it runs, anywhere in it.

    Imports for the type checker alone (`if TYPE_CHECKING:`) do not count.
    """
    names: set[str] = set()
    for node in _executed(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a syntax tree without the parts that only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from _executed(child)


def copy_code(files: list[Path], into: Path) -> Path:
    """Copy our files into a folder, as a package that can be imported from there; return the package's folder."""
    for path in files:
        target = into / path.relative_to(PACKAGE.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return into / _NAME


def requirements(files: list[Path]) -> list[str]:
    """Pin the libraries that these files import, as installed here, less a build's own suffix (`+cpu`)."""
    names = {name for path in files for name in imported_names(path)}
    known = _distributions()
    modules = {name.split(".")[0] for name in names} - {_NAME} - sys.stdlib_module_names
    distributions = {_distribution_of(known[module], names) for module in modules if module in known}
    return [f"{name}=={metadata.version(name).split('+')[0]}" for name in sorted(distributions)]


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return {module: the distributions that have it}, of what is installed; reading it takes a second or two."""
    return metadata.packages_distributions()


def _distribution_of(candidates: list[str], names: set[str]) -> str:
    """Choose the distribution that bears the imported name: mlflow, not mlflow-tracing; ruamel.yaml, not its clib."""
    roots = {".".join(name.split(".")[:depth]) for name in names for depth in (1, 2)}
    return next((candidate for candidate in candidates if candidate in roots), candidates[0])
