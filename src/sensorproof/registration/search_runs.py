"""Log a search to MLflow: a run with its pictures under the pipeline's run, and under it a run for each trial."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import Connection
from sensorproof.adapters.mlflow_runs import DataSet, Record, log_files, log_nested
from sensorproof.documents.search import SearchResult, Trial
from sensorproof.evaluation import metric_names
from sensorproof.reporting.search_pictures import draw_pictures

_STATES = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""{outcome of a trial: status of its run}."""


def log_search(
    connection: Connection, parent: str, result: SearchResult, keys: Mapping[str, str], data: DataSet
) -> None:
    """Log the trials with parameters, curves and state, and what was chosen.

    Args:
        connection: the tracking server.
        parent: id of the pipeline's run.
        result: of the search.
        keys: tags of the pipeline's run.
        data: that the trials were trained on.
    """
    chosen = result.chosen_trial
    if chosen is None:
        return
    params = {"trials": len(result.trials), "chosen": chosen.number, "study": result.study} | _params(chosen)
    metrics = {f"importance/{score}/{name}": s for score, own in result.importance.items() for name, s in own.items()}
    record = Record(f"search {result.study}", keys, params, {**metrics, **_scores(chosen)})
    run = log_nested(connection, parent, record, data, tag.SEARCH)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, png in draw_pictures(result).items():
            paths.append(Path(folder) / f"{name}.png")
            paths[-1].write_bytes(png)
        result.write(Path(folder) / "trials.json")
        log_files(connection, run, [*paths, Path(folder) / "trials.json"])
    for trial in result.trials:
        own = {**keys, tag.STATE: trial.outcome, tag.REASON: trial.reason or "none"}
        record = Record(f"trial {trial.number}", own, _params(trial), _metrics(trial), _curves(trial))
        log_nested(connection, run, record, data, tag.TRIAL, _STATES[trial.outcome])


def _params(trial: Trial) -> dict[str, object]:
    own = {f"regularizer.{name}": value for name, value in trial.regularizer.model_dump().items()}
    own |= {f"data.standardize.{sensor}": how for sensor, how in (trial.standardize or {}).items()}
    return own | {
        "train.class_balance": trial.class_balance,
        "train.learning_rate": trial.learning_rate,
        "origin": trial.origin,
        "seeds": list(trial.seeds),
    }


def _scores(trial: Trial) -> dict[str, float | None]:
    figures = {"full": trial.full, "mean": trial.mean, "worst": trial.worst}
    return {metric_names.validation_miou(name): value for name, value in figures.items()}


def _metrics(trial: Trial) -> dict[str, float | None]:
    limits = {f"violation/{gate}": value for gate, value in trial.violations.items()}
    return _scores(trial) | limits | {"steps": trial.steps, "seconds": trial.seconds}


def _curves(trial: Trial) -> list[dict[str, float]]:
    rows = [{"step": float(point.step), metric_names.history("loss"): point.loss} for point in trial.losses]
    return rows + [{"step": float(check.steps), "validation/selection": check.score} for check in trial.checks]
