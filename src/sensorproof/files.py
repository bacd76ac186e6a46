"""Files and folders that are written whole or not at all, paths that stay inside a folder, JSON and YAML."""

import ctypes
import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from sensorproof.errors import SensorproofError

_MAX_NAME_BYTES = 255
"""Bytes in one part of a path."""
_MAX_YAML_VALUES = 200_000
"""Values that a YAML document may hold once its aliases are unfolded; a few lines can ask for billions."""
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")
}


def confined(root: Path, relative: str) -> Path:
    """Return root/relative.

    Raises:
        SensorproofError: the path is empty, absolute, not a path at all, or leaves `root` by `..` or by a link.
    """
    path = root / relative
    try:
        if max((len(os.fsencode(part)) for part in path.parts), default=0) > _MAX_NAME_BYTES:
            raise ValueError("a name is too long")
        inside = not Path(relative).is_absolute() and path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL
        raise SensorproofError(root, f"{relative!r:.80} is not a path ({error})", "use plain relative paths") from error
    if not relative or not inside:
        raise SensorproofError(root, f"path {relative!r:.80} leaves the folder", "use relative paths inside it")
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write. On success it is synced and renamed to `path`, on an error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder to fill. On success it replaces `path`, on an error it is removed.

    A killed process leaves the old folder whole, and at most a hidden sibling.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        publish_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def publish_folder(temporary: Path, path: Path) -> None:
    """Sync a finished sibling folder and rename it to `path`; it replaces a folder that is there in one step."""
    for file in temporary.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    temporary.chmod(0o755)
    if path.exists():
        _exchange(temporary, path)
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        temporary.rename(path)
    sync_folder(path.parent)


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders with the same parent, in one step where the system can (Linux, most file systems)."""
    at_fdcwd, rename_exchange = -100, 2  # constants of the Linux headers
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is not None and rename(at_fdcwd, os.fsencode(new), at_fdcwd, os.fsencode(old), rename_exchange) == 0:
        return
    retired = Path(tempfile.mkdtemp(dir=old.parent, prefix=f".{old.name}.old."))
    old.rename(retired / "old")
    new.rename(old)
    (retired / "old").rename(new)
    retired.rmdir()


def sync_folder(folder: Path) -> None:
    """Make a rename inside the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write text to `path` atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value to `path` atomically as indented JSON.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote.

    Raises:
        SensorproofError: the file is missing or broken.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SensorproofError(path, "is missing", "run the stage that writes it (`dvc repro`)") from error
    except (ValueError, OSError) as error:
        raise SensorproofError(path, f"cannot be read ({error})", "delete it and run `dvc repro`") from error


class _Resolver(VersionedResolver):
    """Read `.5e1` as a number, as YAML 1.2 does; ruamel.yaml wants a sign in that exponent."""

    _number = re.compile(r"[-+]?\.\d+[eE]\d+$")

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0] and self._number.match(value):
            return Tag(suffix="tag:yaml.org,2002:float")
        return super().resolve(kind, value, implicit)


class _Constructor(SafeConstructor):
    """Refuse what no document of ours needs before any value is built."""

    def get_single_data(self) -> Any:
        node = self.composer.get_single_node()
        if node is None:
            return None
        if _count_values(node, {}) > _MAX_YAML_VALUES:
            raise ValueError(f"it holds more than {_MAX_YAML_VALUES:,} values")
        return self.construct_document(node)


def _count_values(node: Node, counts: dict[int, int]) -> int:
    """Count the values of a node with its aliases unfolded.

    Args:
        node: what to count.
        counts: the counts of nodes already seen, by identity; 0 while a node is being counted.

    Raises:
        ValueError: a tag is not plain, a key repeats or is not a scalar, or the node contains itself.
    """
    if id(node) in counts:
        if counts[id(node)] == 0:
            raise ValueError(f"the alias in line {_line(node)} contains itself")
        return counts[id(node)]
    counts[id(node)] = 0
    if node.tag not in _PLAIN_TAGS:
        raise ValueError(f"tag {node.tag!r} in line {_line(node)} is not allowed")
    children = node.value if isinstance(node.value, list) else []
    if isinstance(node, MappingNode):
        if nested := [key for key, _ in children if not isinstance(key, ScalarNode)]:
            raise ValueError(f"the key in line {_line(nested[0])} is not text")
        keys = [key.value for key, _ in children if key.value != "<<"]
        if repeated := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"key {repeated[0]!r} repeats in the mapping that starts in line {_line(node)}")
        children = [part for pair in children for part in pair]
    counts[id(node)] = 1 + sum(_count_values(child, counts) for child in children)
    return counts[id(node)]


def _line(node: Node) -> int:
    """Return the line in which a node starts, counted from 1."""
    return int(node.start_mark.line) + 1


def _make_yaml() -> YAML:
    """Return a reader and writer of YAML 1.2; it keeps state, so each document gets its own."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver, yaml.Constructor = _Resolver, _Constructor
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # the library declares None only
    yaml.width = 100
    return yaml


def dump_yaml(value: Any) -> str:
    """Return plain values as YAML that parse_yaml reads back unchanged; keys keep their order."""
    text = io.StringIO()
    _make_yaml().dump(value, text)
    return text.getvalue()


def parse_yaml(text: str) -> Any:
    """Parse a YAML 1.2 document of plain values, as DVC reads params.yaml.

    `off` and `no` are text, `1e-3` is a number, `2025-02-24` is a date.

    Raises:
        ValueError: it is not YAML, a key repeats, a tag is not plain, it is nested too deeply, or its aliases unfold to
            too many values.
    """
    try:
        return _make_yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fault = ": ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(f"{fault} in line {mark.line + 1}" if mark else fault) from error
    except YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    # Constructors meet a value that does not fit its tag (`!!bool maybe`) with whatever error occurs.
    except (LookupError, AttributeError, TypeError, ArithmeticError) as error:
        raise ValueError(f"a value does not fit its tag ({error})") from error
