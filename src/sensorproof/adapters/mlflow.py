"""MLflow owns the runs: one parent for each run of the pipeline, one child for each training, the data as an input.

Where they go: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db with the artifacts in mlruns/, both in the project. A bare
`mlflow server` there opens the same database and shows runs and artifacts. `mlflow_registry` has the versions.
"""

import getpass
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sensorproof.adapters import quiet_environment
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

_EXPERIMENT = "sensorproof"
_DEFAULT_URI = "sqlite:///mlflow.db"
_ENVIRONMENT = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""Fewer words and a shorter wait for a server that is not there, unless the environment says otherwise."""
_PARENT = "mlflow.parentRunId"
MOST_METRICS, MOST_PARAMS = 900, 100
"""How many one request may carry; together no more than 1000."""


@dataclass(frozen=True)
class Record:
    """One run as plain data.

    `history` has rows with a `step` and scalars; `artifacts` are files. Metrics that are None are left out.
    """

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    artifacts: Sequence[Path] = ()


@dataclass(frozen=True)
class DataSet:
    """What the runs were made from: a name, DVC's hash (36 characters at most), where it lies, and what is in it."""

    name: str
    digest: str
    source: str
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class Connection:
    """A tracking store and the experiment in it."""

    client: "MlflowClient"
    uri: str
    experiment_id: str


def tracking_uri() -> str:
    """Where runs go."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_URI


@contextmanager
def connect(*, create: bool = True) -> Iterator[Connection]:
    """Open the tracking store; the experiment is made where there is none.

    Args:
        create: make the project's own database where there is none.

    Raises:
        SensorproofError: the store cannot be reached or used; so do faults of MLflow within the block.
    """
    uri = tracking_uri()
    if not create and uri == _DEFAULT_URI and not Path(_DEFAULT_URI.removeprefix("sqlite:///")).exists():
        raise SensorproofError("mlflow.db", "is not there yet", "run `dvc repro`, or set MLFLOW_TRACKING_URI")
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
    """The address as it may be shown."""
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":…@") if parts.password else uri


def find_parent(connection: Connection, key: Mapping[str, str]) -> "Run | None":
    """The finished parent run with these tags, the latest where there are several."""
    return next(iter(search(connection, {**key, "kind": "pipeline"}, "FINISHED")), None)


def find_children(connection: Connection, parent: str) -> dict[tuple[str, int], str]:
    """{(arm, seed): run id} of a finished parent."""
    found = search(connection, {_PARENT: parent}, "FINISHED")
    return {(run.data.tags["arm"], int(run.data.tags["seed"])): run.info.run_id for run in found}


def close_abandoned(connection: Connection, key: Mapping[str, str]) -> None:
    """Mark parents with these tags as killed that are still open because their process died."""
    for run in search(connection, {**key, "kind": "pipeline"}, "RUNNING"):
        connection.client.set_terminated(run.info.run_id, "KILLED")


def search(connection: Connection, tags: Mapping[str, str], status: str) -> "list[Run]":
    """Runs with these tags and this status, the latest first."""
    wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    filtered = " and ".join([*wanted, f"attributes.status = '{status}'"])
    return list(connection.client.search_runs([connection.experiment_id], filtered, max_results=100))


@contextmanager
def parent_run(connection: Connection, record: Record, data: DataSet) -> Iterator[str]:
    """Log a parent run and yield its id; it is closed at the end, as failed where that was an error."""
    run_id = _log_run(connection, record, data, {"kind": "pipeline"})
    try:
        log_files(connection, run_id, record.artifacts)
        yield run_id
    except BaseException:
        connection.client.set_terminated(run_id, "FAILED")
        raise
    connection.client.set_terminated(run_id)


def log_child(connection: Connection, parent: str, record: Record, data: DataSet) -> str:
    """Log one training under its parent and return its id."""
    run_id = _log_run(connection, record, data, {"kind": "training", _PARENT: parent})
    connection.client.set_terminated(run_id)
    return run_id


def _log_run(connection: Connection, record: Record, data: DataSet, tags: Mapping[str, str]) -> str:
    """Log one run and leave it open; return its id."""
    from mlflow.entities import Metric, Param

    client, now = connection.client, int(1000 * time.time())
    about = {"mlflow.user": user(), "mlflow.source.name": "dvc repro", "mlflow.source.type": "JOB"}
    every = {**about, **record.tags, **tags}
    run = client.create_run(connection.experiment_id, run_name=record.name, tags=every)
    run_id = str(run.info.run_id)
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items() if value is not None]
    for row in record.history:
        step = int(row["step"])
        metrics += [Metric(name, value, now, step) for name, value in row.items() if name != "step"]
    params = [Param(name, str(value)) for name, value in record.params.items()]
    while metrics or params:
        client.log_batch(run_id, metrics=metrics[:MOST_METRICS], params=params[:MOST_PARAMS])
        metrics, params = metrics[MOST_METRICS:], params[MOST_PARAMS:]
    client.log_inputs(run_id, datasets=[_dataset_input(data)])
    return run_id


def log_files(connection: Connection, run_id: str, files: Sequence[Path]) -> None:
    """Attach files to a run, in place of those of the same names."""
    for path in files:
        connection.client.log_artifact(run_id, str(path))


def fetch_json(connection: Connection, run_id: str, name: str) -> Any:
    """Read a JSON artifact of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return read_json(Path(connection.client.download_artifacts(run_id, name, folder)))


def tag_run(connection: Connection, run_id: str, tags: Mapping[str, str], description: str) -> None:
    """Write on a run what was decided, as tags and as its description."""
    from mlflow.entities import RunTag

    every = {**tags, "mlflow.note.content": description}
    connection.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in every.items()])


def _dataset_input(data: DataSet) -> "DatasetInput":
    """A data set as an input of a run, named by DVC's hash."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        data.name, data.digest, "local", json.dumps({"uri": data.source}), profile=json.dumps(dict(data.profile))
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def user() -> str:
    """Who logs a run or changes an alias."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
