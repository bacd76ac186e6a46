"""Locks between processes. The operating system frees them when their holder ends, even if it is killed."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sensorproof.errors import SensorproofError

_LOCKS = Path(".dvc/tmp")
"""The folder of the locks in a project: ignored by git, and kept by `make clean`."""


class BusyError(SensorproofError):
    """Another process does the same work."""


@contextmanager
def locked(name: str, project: Path = Path(), *, wait: bool = True) -> Iterator[None]:
    """Hold a lock: no other process of the project has it at the same time.

    Args:
        name: of the lock.
        project: the project's folder.
        wait: wait until the lock is free.

    Raises:
        BusyError: another process holds it, and `wait` is False.
    """
    path = project / _LOCKS / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise BusyError(name, f"is under way already ({_holder(descriptor)})", "wait until it ends") from error
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "since": since}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Describe who holds the lock; it may not have written that down yet."""
    try:
        content = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {content['pid']} since {content['since']}"
    except (ValueError, KeyError, TypeError):
        return "by another process"
