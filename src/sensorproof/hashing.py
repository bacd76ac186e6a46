"""Hashes that identify content: files, JSON values, prepared data and the code. SHA-256, except where DVC has MD5."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def hash_json(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON value; the order of keys does not matter.

    Args:
        value: what `json.dumps` takes, with finite numbers only.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: a value cannot be written as JSON.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return {name: SHA-256 (hex)} of some files of a folder."""
    return {name: hash_file(folder / name) for name in names}


def hash_prepared(folder: Path, rows: Sequence[int]) -> str:
    """Return the hash of all that a training can see of prepared data.

    Args:
        folder: what stage prepare wrote: tables, pixels and labels, and the hashes of frames at their own resolution.
        rows: the rows of its arrays that are in use; the others are in quarantine or faulty.
    """
    return hash_json([hash_files(folder, (path.name for path in folder.iterdir() if path.is_file())), list(rows)])


def new_dvc_md5() -> "hashlib._Hash":
    """Return a hash to feed with a file's bytes; its hex digest is what `dvc_md5` gives for that file.

    MD5 because DVC names content by it. It protects against mistakes, not against an attacker.
    """
    return hashlib.md5(usedforsecurity=False)


def dvc_md5(path: Path) -> str:
    """Return the MD5 (hex) of a file's bytes, by which DVC names its content in .dvc files, dvc.lock and the cache.

    Only MD5 can be compared with DVC's records. Text files are hashed as they are, as since DVC 3; DVC 2 converted
    their line endings first (`md5-dos2unix`).
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, new_dvc_md5).hexdigest()


def git_commit() -> str:
    """Return the commit of the checkout in the working folder: 40 hex digits.

    With `-dirty` behind it if tracked files differ from the commit; `none` where there is no git.
    """
    try:
        describe = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"
