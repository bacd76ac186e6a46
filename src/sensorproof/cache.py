"""Results that are kept under a hash of all that they depend on: arrays and tables as safetensors, never pickled.

What is kept can always be made again, so a damaged or missing entry is no fault: it is computed again.
"""

import json
import shutil
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sensorproof.errors import SensorproofError
from sensorproof.files import atomic_file
from sensorproof.hashing import hash_json

_ARRAY, _TABLE = "$array", "$table"
_DOCUMENT = "document"
_DAY_S = 86400.0


def save_tree(path: Path, tree: Any) -> None:
    """Write nested dictionaries and lists of plain values, arrays and tables to a file, atomically.

    Args:
        path: of the file.
        tree: keys are text; arrays have numbers; a table's columns have numbers or text.

    Raises:
        SensorproofError: the disk is full.
    """
    arrays: dict[str, NDArray[Any]] = {}
    document = _pack(tree, arrays)
    with atomic_file(path) as temporary:
        try:
            save_file(arrays, temporary, {_DOCUMENT: json.dumps(document)})
        except SafetensorError as error:
            raise SensorproofError(
                path, f"cannot be written ({error})", "make room on the disk, then repeat"
            ) from error


def load_tree(path: Path) -> Any:
    """Read what `save_tree` wrote, and mark the file as used; None if there is none or it is damaged."""
    try:
        with safe_open(path, "numpy") as opened:
            document = json.loads(opened.metadata()[_DOCUMENT])
            tree = _unpack(document, opened)
        path.touch()
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    return tree


def _pack(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return a JSON value in which arrays are named; the arrays themselves go to `arrays`."""
    if isinstance(value, np.ndarray):
        name = str(len(arrays))
        arrays[name] = np.ascontiguousarray(value)
        return {_ARRAY: name}
    if isinstance(value, pd.DataFrame):
        columns = {
            str(name): _pack(column.to_numpy(), arrays) if column.dtype.kind in "biuf" else column.astype(str).tolist()
            for name, column in value.items()
        }
        return {_TABLE: columns}
    if isinstance(value, dict):
        return {key: _pack(inner, arrays) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(inner, arrays) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


def _unpack(value: Any, opened: Any) -> Any:
    """Undo `_pack`."""
    if isinstance(value, list):
        return [_unpack(inner, opened) for inner in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        return opened.get_tensor(value[_ARRAY])
    if _TABLE in value:
        return pd.DataFrame({name: _unpack(column, opened) for name, column in value[_TABLE].items()})
    return {key: _unpack(inner, opened) for key, inner in value.items()}


@lru_cache(maxsize=8)
def hash_code(*names: str) -> str:
    """Return the SHA-256 (hex) of the source of some packages and modules: what their code computed depends on it."""
    sources = [(name, path, text) for name in names for path, text in _sources(name)]
    return hash_json([*sources, np.__version__])


def _sources(name: str) -> list[tuple[str, str]]:
    """Return the paths and the text of a module, or of all modules in a package."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return [(origin.name, origin.read_text(encoding="utf-8"))]
    modules = sorted((path.relative_to(origin.parent).as_posix(), path) for path in origin.parent.rglob("*.py"))
    return [(relative, path.read_text(encoding="utf-8")) for relative, path in modules]


def prune(folder: Path, days: float, keep: Sequence[Path] = ()) -> None:
    """Remove entries that nobody has used for some days, so that the cache does not grow for ever."""
    kept = {path.resolve() for path in keep}
    for entry in folder.glob("*"):
        try:
            if entry.resolve() not in kept and time.time() - entry.stat().st_mtime > days * _DAY_S:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except FileNotFoundError:  # another process was faster
            continue
