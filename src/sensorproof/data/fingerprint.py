"""A hash of everything in a batch, by which results that were computed from it are kept."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sensorproof.artifacts import FILE_HASHES
from sensorproof.data.batch import Batch
from sensorproof.data.frame_table import LABEL, split_cell
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.hashing import dvc_md5, hash_json

_SETTLED_S = 2.0
"""A file that changed later than this before it was hashed may change again within the same tick of the clock."""
_THREADS = 4


def fingerprint(batch: Batch, known: Mapping[str, str] | None = None, cache: Path = FILE_HASHES) -> str:
    """Hash batch.yaml, frames.csv and the bytes of every file that frames.csv names.

    A file is read again only if its size, time or inode has changed.

    Args:
        batch: the batch.
        known: {relative path: MD5} of its files where they have been hashed already.
        cache: folder for what is known of files.

    Returns:
        SHA-256 (hex). It does not depend on where the batch is. A file that cannot be read counts as such.
    """
    files = {name: sensor.read.files if sensor.read else 1 for name, sensor in batch.sensors.items()} | {LABEL: 1}
    cells = {(str(cell), number) for column, number in files.items() for cell in batch.frames[column] if cell}
    names = sorted({name for cell, number in cells for name in split_cell(cell, number)})
    hashes = dict(known) if known is not None and set(names) <= set(known) else _hash_files(batch, names, cache)
    table = batch.frames.to_csv(index=False, lineterminator="\n")
    return hash_json([batch.info.model_dump(mode="json"), table, [[name, hashes[name]] for name in names]])


def _hash_files(batch: Batch, names: list[str], cache: Path) -> dict[str, str]:
    """Return {relative path: MD5}; an empty MD5 for a file that cannot be read."""
    path = cache / f"{hash_json(str(batch.root.resolve()))[:32]}.json"
    before = _read_memo(path)
    started = time.time()
    memo: dict[str, list[Any]] = {}
    hashes: dict[str, str] = {}

    def examine(name: str) -> tuple[str, list[Any] | None]:
        try:
            stat = (file := batch.path(name)).stat()
            state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            entry = before.get(name)
            digest = entry[3] if entry is not None and entry[:3] == state else dvc_md5(file)
        except (OSError, SensorproofError):
            return "", None
        settled = stat.st_mtime < started - _SETTLED_S
        return digest, [*state, digest] if settled else None

    with ThreadPoolExecutor(_THREADS) as pool:
        for name, (digest, entry) in zip(names, pool.map(examine, names), strict=True):
            hashes[name] = digest
            if entry is not None:
                memo[name] = entry
    if memo != before:
        write_json(path, memo)
    return hashes


def _read_memo(path: Path) -> dict[str, list[Any]]:
    """Return what was noted of files; nothing if the note is missing or damaged."""
    try:
        document = read_json(path)
    except SensorproofError:
        return {}
    return document if isinstance(document, dict) else {}
