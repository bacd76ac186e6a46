"""One writer at a time on a registry that several machines share.

MLflow has no lock, and the last writer of a tag wins. But it makes a registered model of a name only once, whoever
asks: so whoever makes the model `<name>.lock` holds the lock, and deletes it to let go.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from sensorproof.adapters.mlflow import user
from sensorproof.errors import SensorproofError

_OWNER = "owner"
_WAIT_S = 120.0
_STALE_S = 900.0
"""A lock of another machine that is older was left by a process that died."""
_POLL_S = 0.5


@dataclass(frozen=True)
class _Owner:
    """Who holds the lock."""

    token: str
    host: str
    process: int
    since: float
    user: str

    def is_gone(self) -> bool:
        """Return whether the process has died: known on this machine, by the age of the lock on others."""
        if time.time() - self.since > _STALE_S:
            return True
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


@contextmanager
def registry_lock(client: Any, name: str) -> Iterator[Callable[[], None]]:
    """Hold the lock of a registered model; yield a function that raises if the lock has been lost meanwhile.

    Args:
        client: an MlflowClient.
        name: of the registered model.

    Raises:
        SensorproofError: somebody else holds it for two minutes, or took it over.
    """
    lock = f"{name}.lock"
    mine = _Owner(uuid.uuid4().hex, socket.gethostname(), os.getpid(), time.time(), user())
    deadline = time.monotonic() + _WAIT_S
    while not _take(client, lock, mine):
        owner = _owner(client, lock)
        if owner is not None and owner.is_gone():
            _remove(client, lock)
        elif time.monotonic() > deadline:
            who = f"by process {owner.process} of {owner.user} on {owner.host}" if owner else "by somebody"
            raise SensorproofError(f"registry {name}", f"is locked {who}", "wait until that is done")
        else:
            time.sleep(_POLL_S)

    def check() -> None:
        if _owner(client, lock) != mine:
            raise SensorproofError(f"registry {name}", "its lock was taken over", "run the command again")

    try:
        yield check
    finally:
        if _owner(client, lock) == mine:
            _remove(client, lock)


def _take(client: Any, lock: str, mine: _Owner) -> bool:
    """Make the lock's model, unless it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            lock, {_OWNER: json.dumps(asdict(mine))}, "A change of the registry is under way."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


def _owner(client: Any, lock: str) -> _Owner | None:
    """Return who holds the lock; None if nobody does."""
    from mlflow.exceptions import MlflowException

    try:
        tags = client.get_registered_model(lock).tags
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return _Owner(**json.loads(tags[_OWNER])) if _OWNER in tags else _Owner("", "", 0, 0.0, "")


def _remove(client: Any, lock: str) -> None:
    """Delete the lock's model, if it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.delete_registered_model(lock)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
