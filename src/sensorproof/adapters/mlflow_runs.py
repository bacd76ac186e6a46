"""Write and find runs in MLflow: a parent for each run of the pipeline, a child for each training."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import Connection, user
from sensorproof.files import read_json

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

_MOST_METRICS, _MOST_PARAMS = 900, 100
"""How many one request may carry; MLflow allows 1000 together."""


@dataclass(frozen=True)
class Record:
    """One run as plain data. Metrics that are None are left out."""

    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    history: Sequence[Mapping[str, float]] = ()
    """Rows with a `step` and further metrics."""
    artifacts: Sequence[Path] = ()


@dataclass(frozen=True)
class DataSet:
    """The data that runs were made from."""

    name: str
    digest: str
    """DVC's hash; MLflow allows 36 characters."""
    source: str
    """The folder."""
    profile: Mapping[str, Any]
    """What is in it."""


def find_parent(connection: Connection, key: Mapping[str, str]) -> "Run | None":
    """Find the finished parent run with these tags, the latest where there are several."""
    return next(iter(_search(connection, {**key, tag.KIND: tag.PIPELINE}, "FINISHED")), None)


def find_children(connection: Connection, parent: str) -> dict[tuple[str, int], str]:
    """Return {(arm, seed): run id} of a finished parent."""
    runs = _search(connection, {tag.PARENT: parent, tag.KIND: tag.TRAINING}, "FINISHED")
    return {(run.data.tags[tag.ARM], int(run.data.tags[tag.SEED])): run.info.run_id for run in runs}


def close_abandoned(connection: Connection, key: Mapping[str, str]) -> None:
    """Mark runs as killed that are still open because their process died.

    These are the parents with these tags, and the trainings of any parent that is itself no longer open.

    Args:
        connection: the tracking server.
        key: tags of the pipeline run that the caller is about to log; no other process logs it meanwhile.
    """
    client = connection.client
    for parent in _search(connection, {**key, tag.KIND: tag.PIPELINE}, "RUNNING"):
        client.set_terminated(parent.info.run_id, "KILLED")
    for child in _search(connection, {tag.KIND: tag.TRAINING}, "RUNNING"):
        if client.get_run(child.data.tags[tag.PARENT]).info.status != "RUNNING":
            client.set_terminated(child.info.run_id, "KILLED")


def _search(connection: Connection, tags: Mapping[str, str], status: str) -> "list[Run]":
    """Search the runs with these tags and this status; the latest come first."""
    conditions = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    query = " and ".join([*conditions, f"attributes.status = '{status}'"])
    return list(connection.client.search_runs([connection.experiment_id], query, max_results=100))


@contextmanager
def parent_run(connection: Connection, record: Record, data: DataSet) -> Iterator[str]:
    """Log a parent run and yield its id; it is closed at the end, as failed after an error."""
    run_id = _log_run(connection, record, data, {tag.KIND: tag.PIPELINE})
    try:
        log_files(connection, run_id, record.artifacts)
        yield run_id
    except BaseException:
        connection.client.set_terminated(run_id, "FAILED")
        raise
    connection.client.set_terminated(run_id)


def log_child(connection: Connection, parent: str, record: Record, data: DataSet) -> str:
    """Log one training under its parent and return its id."""
    return log_nested(connection, parent, record, data, tag.TRAINING)


def log_nested(
    connection: Connection, parent: str, record: Record, data: DataSet, kind: str, status: str = "FINISHED"
) -> str:
    """Log a run of any kind under another one and return its id.

    Args:
        connection: the tracking server.
        parent: id of the other run.
        record: the run.
        data: that it was made from.
        kind: the tag KIND.
        status: with which it ended: FINISHED, FAILED or KILLED.
    """
    run_id = _log_run(connection, record, data, {tag.KIND: kind, tag.PARENT: parent})
    connection.client.set_terminated(run_id, status)
    return run_id


def _log_run(connection: Connection, record: Record, data: DataSet, tags: Mapping[str, str]) -> str:
    """Log one run and leave it open; return its id."""
    from mlflow.entities import Metric, Param

    client, now = connection.client, int(1000 * time.time())
    origin = {"mlflow.user": user(), "mlflow.source.name": "dvc repro", "mlflow.source.type": "JOB"}
    run = client.create_run(connection.experiment_id, run_name=record.name, tags={**origin, **record.tags, **tags})
    run_id = str(run.info.run_id)
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items() if value is not None]
    for row in record.history:
        step = int(row["step"])
        metrics += [Metric(name, value, now, step) for name, value in row.items() if name != "step"]
    params = [Param(name, str(value)) for name, value in record.params.items()]
    while metrics or params:
        client.log_batch(run_id, metrics=metrics[:_MOST_METRICS], params=params[:_MOST_PARAMS])
        metrics, params = metrics[_MOST_METRICS:], params[_MOST_PARAMS:]
    client.log_inputs(run_id, datasets=[_dataset_input(data)])
    return run_id


def log_files(connection: Connection, run_id: str, files: Sequence[Path]) -> None:
    """Attach files, and folders with all they hold, to a run, in place of those of the same names."""
    for path in files:
        if path.is_dir():
            connection.client.log_artifacts(run_id, str(path), path.name)
        else:
            connection.client.log_artifact(run_id, str(path))


def fetch_params(connection: Connection, run_id: str) -> dict[str, str]:
    """Return the parameters of a run."""
    return dict(connection.client.get_run(run_id).data.params)


def fetch_json(connection: Connection, run_id: str, name: str) -> Any:
    """Read a JSON artifact of a run."""
    with tempfile.TemporaryDirectory() as folder:
        return read_json(Path(connection.client.download_artifacts(run_id, name, folder)))


def tag_run(connection: Connection, run_id: str, tags: Mapping[str, str], description: str) -> None:
    """Write tags and a description on a run."""
    from mlflow.entities import RunTag

    every = {**tags, "mlflow.note.content": description}
    connection.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in every.items()])


def _dataset_input(data: DataSet) -> "DatasetInput":
    """Describe a data set as the input of a run, named by DVC's hash."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        data.name, data.digest, "local", json.dumps({"uri": data.source}), profile=json.dumps(dict(data.profile))
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
