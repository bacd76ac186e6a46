"""Open MLflow's tracking store: the runs, the registry and their artifacts.

The store is at MLFLOW_TRACKING_URI, else in sqlite:///mlflow.db with the artifacts in mlruns/, both in the project. A
bare `mlflow server` in the project opens the same database and shows runs and artifacts.
"""

import getpass
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sensorproof.adapters import quiet_environment
from sensorproof.errors import SensorproofError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_EXPERIMENT = "sensorproof"
_DEFAULT_URI = "sqlite:///mlflow.db"
_ENVIRONMENT = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""Less output, and a shorter wait for a server that does not answer; the environment overrides them."""


@dataclass(frozen=True)
class Connection:
    """A tracking store and the experiment in it."""

    client: "MlflowClient"
    uri: str
    experiment_id: str


def tracking_uri() -> str:
    """Return the address of the tracking store."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_URI


@contextmanager
def connect(*, create: bool = True) -> Iterator[Connection]:
    """Open the tracking store; the experiment is made where there is none.

    Args:
        create: make the project's own database where there is none.

    Raises:
        SensorproofError: the store cannot be reached or used. Errors of MLflow within the block become one, too.
    """
    uri = tracking_uri()
    if not create and uri == _DEFAULT_URI and not Path(_DEFAULT_URI.removeprefix("sqlite:///")).exists():
        raise SensorproofError("mlflow.db", "does not exist yet", "run `dvc repro`, or set MLFLOW_TRACKING_URI")
    quiet_environment()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        mlflow.set_tracking_uri(uri)
        experiment = mlflow.set_experiment(_EXPERIMENT)
        yield Connection(mlflow.MlflowClient(), uri, experiment.experiment_id)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        fix = "check MLFLOW_TRACKING_URI and that its server runs"
        raise SensorproofError(f"MLflow at {_without_password(uri)}", line, fix) from error


def _without_password(uri: str) -> str:
    """Hide the password in an address."""
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":…@") if parts.password else uri


def user() -> str:
    """Return the name of the user, who logs a run or changes an alias."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
