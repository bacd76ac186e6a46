"""Rows of predictions.csv, written one by one, so that a killed process leaves whole rows and at most a broken last."""

import csv
import errno
import fcntl
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import BinaryIO

from sensorproof.locks import BusyError


@dataclass(frozen=True)
class Row:
    """One frame in predictions.csv. All cells are text without line breaks, empty for none."""

    frame_id: str
    prediction: str
    """The label picture, relative to the folder; empty where the frame has no prediction."""
    confidence: str
    """The mean over the pixels, 0 to 1, four digits."""
    sensors: str
    """The sensors that the labels rest on, joined by `+`."""
    left_out: str
    """`sensor: reason` of each other sensor of the model, joined by `; `."""
    failing: str
    """`sensor: reason` of each sensor that the monitor found failing, joined by `; `."""
    faults: str
    """`file: fault` of each file that could not be used, joined by `; `."""

    def encode(self) -> bytes:
        """Return the row as one line of CSV."""
        return _line(" ".join(cell.split()) if cell != self.frame_id else cell for cell in astuple(self))


COLUMNS = tuple(field.name for field in fields(Row))


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode(errors="backslashreplace")


HEADER = _line(COLUMNS)


def read_rows(file: BinaryIO) -> Iterator[Row]:
    """Yield the whole rows of a table from its start; stop before the first that is broken.

    After each row the file is at its end.
    """
    file.seek(0)
    if file.readline() != HEADER:
        return
    while (line := file.readline()).endswith(b"\n"):
        try:
            (cells,) = csv.reader([line.decode()], strict=True)
            row = Row(*cells)
        except (ValueError, TypeError, csv.Error):
            return
        yield row


class OpenPart:
    """The part of the table that one shard writes, locked against a second process of the same shard.

    Args:
        path: the file; it is made if it is missing.
        is_done: tells of a place in the shard and a row whether the row is right and its pictures are there. Rows from
            the first wrong one on are removed.

    Raises:
        BusyError: another process writes it.
    """

    def __init__(self, path: Path, is_done: Callable[[int, Row], bool]) -> None:
        self._path = path
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "rb+", buffering=0)
        try:
            _lock(self._file.fileno(), path)
            self.done = self._keep_whole(path, is_done)
        except BaseException:
            self._file.close()
            raise

    def _keep_whole(self, path: Path, is_done: Callable[[int, Row], bool]) -> int:
        """Cut the file after its last good row and return the number of rows."""
        done, end = 0, 0
        with path.open("rb") as file:
            for row in read_rows(file):
                if not is_done(done, row):
                    break
                done, end = done + 1, file.tell()
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._file.write(HEADER)
        return done

    def append(self, row: Row) -> None:
        """Add one row, in one write.

        Raises:
            OSError: the disk is full.
        """
        line = row.encode()
        if self._file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self.done += 1

    def sync(self) -> None:
        """Make the rows survive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._file.close()


def check_idle(path: Path) -> None:
    """Check that no process writes a part.

    Raises:
        BusyError: one does.
    """
    with path.open("rb+") as file:
        _lock(file.fileno(), path)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(path, "is being written by another process", "wait until it ends") from error
