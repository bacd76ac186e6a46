"""Locks between processes that the system frees when their holder ends, however it ends."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sensorproof.errors import SensorproofError

_LOCKS = Path(".dvc/tmp")
"""Where locks lie: in the project, out of git, and out of reach of `make clean`."""


class BusyError(SensorproofError):
    """Another process is at the same work."""


@contextmanager
def locked(name: str, project: Path = Path(), *, wait: bool = True) -> Iterator[None]:
    """Be the only process of this project that does `name`.

    Raises:
        Busy: another one does it, and `wait` is False.
    """
    path = project / _LOCKS / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise BusyError(name, f"is under way already ({holder(descriptor)})", "wait until it ends") from error
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(descriptor: int) -> str:
    """Who holds the lock, in words; it may be about to write that down."""
    try:
        known = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {known['pid']} since {known['since']}"
    except (ValueError, KeyError, TypeError):
        return "by another process"
