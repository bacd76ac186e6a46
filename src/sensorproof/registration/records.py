"""Convert the results of a pipeline run to runs and tags of MLflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow_runs import DataSet, Record
from sensorproof.artifacts import EVALUATION, REPORT, REPORT_FOLDER
from sensorproof.documents import FIGURES_AND_SPREAD, Evaluation
from sensorproof.evaluation import metric_names
from sensorproof.hashing import hash_file
from sensorproof.registration.results import Run
from sensorproof.settings import Settings

_SECTIONS = ("data", "model", "train", "regularizer", "search", "retraining", "evaluate")
"""The parts of params.yaml that determine the scores; MLflow shows them with the parent."""


def key_tags(evaluation: Evaluation) -> dict[str, str]:
    """Return the tags by which the same results are recognised."""
    return {
        tag.DATA_HASH: evaluation.data.hash,
        tag.PARAMS_HASH: evaluation.params_hash,
        tag.EVALUATION_HASH: hash_file(EVALUATION),
    }


def describe_data(evaluation: Evaluation, settings: Settings) -> DataSet:
    """Describe the batches as one data set, named by the hash under which DVC has them."""
    data = evaluation.data
    profile = {"batches": list(data.batches), "frames": data.frames.to_json()}
    return DataSet(Path(settings.data.raw).name, data.hash, settings.data.raw, profile)


def pipeline_record(evaluation: Evaluation, keys: Mapping[str, str], settings: Settings) -> Record:
    """Build the parent: all settings, the gains, the candidate's means over the seeds, and the report."""
    metrics: dict[str, float | None] = {}
    for figure, gain in evaluation.gains.items():
        low, high = gain.ci95
        metrics[metric_names.gain(figure)] = gain.value
        metrics |= {metric_names.gain(figure, "low"): low, metric_names.gain(figure, "high"): high}
    if scores := evaluation.arms.get(settings.promotion.candidate):
        metrics |= {metric_names.miou(figure): scores.figure(figure).mean for figure in FIGURES_AND_SPREAD}
    return Record(
        name=f"pipeline {keys[tag.EVALUATION_HASH][:8]}",
        tags={**keys, **_commit_tag(evaluation), tag.CANDIDATE: settings.promotion.candidate},
        params=_flatten({name: getattr(settings, name) for name in _SECTIONS}),
        metrics=metrics,
        artifacts=[EVALUATION, REPORT, REPORT_FOLDER],
    )


def run_record(run: Run, evaluation: Evaluation) -> Record:
    """Build a child: one training with its curves, and its scores on the test split."""
    scores = run.scores
    metrics: dict[str, float | None] = {metric_names.miou(f): scores.figure(f) for f in FIGURES_AND_SPREAD}
    metrics |= {metric_names.subset_miou(subset): score for subset, score in scores.subsets.items()}
    metrics |= {metric_names.VALIDATION_MEAN: scores.validation_mean}
    metrics |= {"train_seconds": scores.train_seconds, "parameters": scores.parameters}
    tags = {
        tag.ARM: scores.arm,
        tag.SEED: str(scores.seed),
        tag.DATA_HASH: evaluation.data.hash,
        tag.PARAMS_HASH: evaluation.params_hash,
        **_commit_tag(evaluation),
        tag.MODEL_HASH: scores.model_sha256,
    }
    params = {"arm": scores.arm, "seed": scores.seed, **_flatten({"regularizer": run.training.regularizer})}
    history = [{metric_names.history(name): value for name, value in row.items()} for row in run.history]
    return Record(f"{scores.arm} seed {scores.seed}", tags, params, metrics, history)


def version_tags(run: Run) -> dict[str, str]:
    """Return the tags of a version that come from its training."""
    scores = run.scores
    return {
        tag.ARM: scores.arm,
        tag.SEED: str(scores.seed),
        tag.MIOU_MEAN: f"{scores.mean:.1f}",
        tag.MODEL_HASH: scores.model_sha256,
    }


def _commit_tag(evaluation: Evaluation) -> dict[str, str]:
    return {tag.GIT_COMMIT: evaluation.git_commit or "none"}


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings: {"train": {"steps": 400}} becomes {"train.steps": 400}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        branch = value.model_dump() if isinstance(value, BaseModel) else value
        flat |= _flatten(branch, f"{prefix}{name}.") if isinstance(branch, Mapping) else {f"{prefix}{name}": branch}
    return flat
