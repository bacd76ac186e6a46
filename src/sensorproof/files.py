"""Files that are written whole or not at all, read safely, and named by their content."""

import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sensorproof.errors import SensorproofError

_LONGEST_NAME = 255
"""Bytes of one part of a path."""
_MAX_YAML_VALUES = 200_000
"""A YAML document may hold so many values once its aliases are unfolded; a few lines can ask for billions."""


def confined(root: Path, relative: str) -> Path:
    """Return root/relative, or raise SensorproofError if that leaves root (absolute, `..`, or by a link)."""
    path = root / relative
    try:
        if max((len(os.fsencode(part)) for part in path.parts), default=0) > _LONGEST_NAME:
            raise ValueError("a name is too long")
        inside = not Path(relative).is_absolute() and path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL
        raise SensorproofError(root, f"{relative!r:.80} is no path ({error})", "name files by plain paths") from error
    if not relative or not inside:
        raise SensorproofError(root, f"path {relative!r:.80} leaves the folder", "name files by paths inside it")
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write; on success it is synced and renamed to path, on error removed."""
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
    """Yield a temporary sibling folder to fill; on success it takes path's place, on error it is removed.

    A process that is killed leaves the old folder whole, and at most a hidden sibling.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        temporary.chmod(0o755)
        if path.exists():
            _exchange(temporary, path)
        else:
            temporary.rename(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders of one parent, in one step where the system has one (Linux, most file systems)."""
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is not None and rename(here, os.fsencode(new), here, os.fsencode(old), swap) == 0:
        return
    retired = Path(tempfile.mkdtemp(dir=old.parent, prefix=f".{old.name}.old."))
    old.rename(retired / "old")
    new.rename(old)
    (retired / "old").rename(new)
    retired.rmdir()


def sync_folder(folder: Path) -> None:
    """Make a rename inside folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write text to path atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write value to path atomically as indented JSON; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one raises SensorproofError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SensorproofError(path, "is missing", "run the stage that writes it (`dvc repro`)") from error
    except (ValueError, OSError) as error:
        raise SensorproofError(path, f"cannot be read ({error})", "delete it and run `dvc repro`") from error


class _YamlLoader(yaml.SafeLoader):
    """Plain values only; a number with an exponent needs no dot, as in YAML 1.2."""


class _YamlDumper(yaml.SafeDumper):
    """Quotes what YamlLoader would read as a number: a sensor may be called `0e0`."""


for _each in (_YamlLoader, _YamlDumper):
    _each.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


def dump_yaml(value: Any) -> str:
    """Plain values as YAML that parse_yaml reads back as they were; keys keep their order."""
    return str(yaml.dump(value, Dumper=_YamlDumper, sort_keys=False, allow_unicode=True, width=100))


def parse_yaml(text: str) -> Any:
    """Parse a YAML document of plain values. `1e-3` is a number, as in YAML 1.2.

    Raises:
        ValueError: it is no YAML, a key repeats, it is nested too deeply, or its aliases unfold without end.
    """
    try:
        loader = _YamlLoader(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _yaml_values(node, {}) > _MAX_YAML_VALUES:
            raise ValueError(f"it holds more than {_MAX_YAML_VALUES:,} values")
        return loader.construct_document(node)
    # PyYAML's constructors meet a value that does not fit its tag (`!!bool maybe`) with whatever comes.
    except (yaml.YAMLError, RecursionError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        raise ValueError(str(error)) from error
    finally:
        loader.dispose()


def _yaml_values(node: Any, known: dict[int, int]) -> int:
    """How many values a node holds with its aliases unfolded; ValueError where a key repeats or it holds itself."""
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError("an alias holds itself")
        return known[id(node)]
    known[id(node)] = 0
    children = node.value if isinstance(node.value, list) else []
    if children and isinstance(children[0], tuple):
        keys = [key.value for key, _ in children if isinstance(key.value, str) and key.value != "<<"]
        if repeated := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"key {repeated[0]!r} repeats in line {node.start_mark.line + 1} and below")
        children = [each for pair in children for each in pair]
    known[id(node)] = 1 + sum(_yaml_values(each, known) for each in children)
    return known[id(node)]


def hash_json(value: Any) -> str:
    """SHA-256 (hex) of a JSON-able value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_commit() -> str:
    """The commit of the checkout in the working folder, `-dirty` if tracked files differ, or `none` without git."""
    try:
        describe = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"
