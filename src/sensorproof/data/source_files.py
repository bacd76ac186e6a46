"""Files outside of a batch: where they are, and what they were when it was imported, so that a change is noticed.

batch.yaml has `external_files: true`, frames.csv names the files by `source:` and a path, `<batch>.source` beside the
batch names their folder, and files.csv in it has their lengths and hashes.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sensorproof.data.batch import Batch
from sensorproof.errors import BatchError

TABLE = "files.csv"
_COLUMNS = ["file", "bytes", "sha256"]


class SourceFile(NamedTuple):
    """One file of the source folder."""

    file: str
    """Its path, relative to the source folder."""
    bytes: int
    sha256: str


def write_source_files(batch: Path, files: Iterable[SourceFile]) -> None:
    """Write the table into a batch; DVC versions it with the batch, and so knows what the files held."""
    table = pd.DataFrame(sorted(set(files)), columns=_COLUMNS)
    table.to_csv(batch / TABLE, index=False, lineterminator="\n")


def check_source(batch: Batch) -> None:
    """Check that the files of a batch's source folder are there and as long as when they were imported.

    A batch without a source folder, or without a table, passes. Contents are not read: that would take as long as
    the import.

    Raises:
        BatchError: a file is gone or has another length.
    """
    source = batch.source
    path = batch.root / TABLE
    if source is None or not path.is_file():
        return
    try:
        table = pd.read_csv(path, usecols=_COLUMNS, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise BatchError(path, f"cannot be read ({error})", "import the data again") from error
    changed = [file for file, size in zip(table.file, table.bytes, strict=True) if _length(source / file) != size]
    if changed:
        fault = f"{len(changed)} of its {len(table)} files are gone or changed since the import, such as {changed[0]}"
        raise BatchError(source, fault, f"restore them, or import {batch.name} again with --force")


def _length(path: Path) -> int:
    """Return the length of a file in bytes; -1 for one that is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
