"""Documents as lines of JSON, one for each event: a file that is only ever appended to."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sensorproof.documents.base import Document

_Line = TypeVar("_Line", bound=Document)


def read_lines(path: Path, model: type[_Line]) -> list[_Line]:
    """Return all lines, the oldest first; one that a power cut left incomplete does not count.

    Args:
        path: the file; none is an empty one.
        model: what a line is.
    """
    return list(_parse(path, model)) if path.is_file() else []


def _parse(path: Path, model: type[_Line]) -> Iterator[_Line]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield model.model_validate_json(line)
        except ValidationError:
            continue


def append_line(path: Path, document: Document) -> None:
    """Append a line so that it survives a power cut; the caller holds the file's lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() and _ends_open(path):
            file.write(b"\n")
        file.write(document.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_open(path: Path) -> bool:
    """Return whether the last line was cut off."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
