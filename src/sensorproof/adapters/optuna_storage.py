"""Where studies are kept: a journal file for one machine, or a database that several machines reach."""

import fcntl
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import OptunaError, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sensorproof.errors import SensorproofError, UsageError

T = TypeVar("T")
_OUTAGES = (StorageInternalError, DBAPIError)
_PATIENCE_S = 300.0
"""How long a worker waits for a database that does not answer."""
_CONNECT_S = 5
_TRIES = 5
"""Two processes that make the tables of a new database at the same moment fail at first."""


class FileLock:
    """A lock for the journal that the system frees when its holder is killed, which Optuna's own is not for 30 s.

    A process that is killed while it writes leaves half a line. Whoever locks next removes it.

    Args:
        journal: the file to protect.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._path = journal, journal.with_name(f"{journal.name}.lock")
        self._descriptor = -1

    def acquire(self) -> bool:
        """Wait for the lock, and repair the journal."""
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        _remove_half_line(self._journal)
        return True

    def release(self) -> None:
        """Free the lock."""
        os.close(self._descriptor)


def _remove_half_line(journal: Path) -> None:
    """Cut a file after its last line break."""
    with journal.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        if not end:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


@contextmanager
def presence(journal: Path) -> Iterator[bool]:
    """Show that a worker uses the journal; yield whether it is the only one, so that nobody's trial is running.

    Args:
        journal: the file.
    """
    descriptor = os.open(journal.with_name(f"{journal.name}.workers"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield alone
    finally:
        os.close(descriptor)


def open_storage(address: str | None, journal: Path) -> BaseStorage:
    """Open the storage; a file or the tables are made where there are none.

    Args:
        address: of a database, as SQLAlchemy has it, or None for the journal.
        journal: the file of the journal.

    Raises:
        SensorproofError: the database does not answer, or cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if address is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        journal.touch()
        return JournalStorage(JournalFileBackend(str(journal), lock_obj=FileLock(journal)))  # type: ignore[arg-type]
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for trial in range(_TRIES):
        try:
            return RDBStorage(address, engine_kwargs={"pool_pre_ping": True, "connect_args": _limits(address)})
        except (OptunaError, SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
            if trial == _TRIES - 1 or not isinstance(error, _OUTAGES):
                raise _unusable(address, error) from error
            time.sleep(1)
    raise AssertionError("not reached")


def _limits(address: str) -> dict[str, int]:
    """Return how long a connection may take to open, in seconds."""
    return {"connect_timeout": _CONNECT_S} if address.startswith("postgresql") else {}


def _unusable(address: str, error: Exception) -> UsageError:
    cause = error.__cause__ or error  # Optuna's own text only guesses
    line = next(iter(str(cause).strip().splitlines()), type(error).__name__)
    fix = "check the address, and that its server runs"
    return UsageError("search.storage", f"{hide_password(address)} cannot be used ({line})", fix)


def hide_password(address: str) -> str:
    """Return an address without its password."""
    password = urlsplit(address).password
    return address.replace(f":{password}@", ":…@") if password else address


def patiently(call: Callable[[], T]) -> T:
    """Call until the storage answers, for some minutes.

    Args:
        call: must be harmless to repeat.

    Raises:
        SensorproofError: the storage has not answered.
    """
    deadline, pause = time.monotonic() + _PATIENCE_S, 0.2
    while True:
        try:
            return call()
        except _OUTAGES as error:
            if time.monotonic() > deadline:
                fix = "check its server, then run the same command again: the search continues"
                raise SensorproofError("search.storage", f"has not answered for {_PATIENCE_S:.0f} s", fix) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)
