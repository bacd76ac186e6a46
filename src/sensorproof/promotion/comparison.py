"""Compare a version with the champion of now, and evaluate its gates."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow_registry import MODEL, Registry, Version
from sensorproof.adapters.mlflow_runs import fetch_json
from sensorproof.documents import Evaluation
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.gates import ChampionScore, Gate, evaluate_gates
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset

OpenData = Callable[[], "PreparedDataset"]
"""Opens the prepared data. It is called only if there is a champion to compare with, because torch loads slowly."""


def evaluate_version(
    registry: Registry,
    version: Version,
    evaluation: Evaluation,
    settings: Settings,
    champion: Version | None,
    candidate_mean: Callable[[], float],
    open_data: OpenData,
) -> list[Gate]:
    """Evaluate all gates; the champion is scored only if the evaluation is complete and it is another version."""
    gates = evaluate_gates(evaluation, settings.promotion, None)
    if champion is None or champion.number == version.number or not gates[0].passed:
        return gates
    scores = _compare_with_champion(registry, champion, candidate_mean, open_data, settings)
    return evaluate_gates(evaluation, settings.promotion, scores)


def _compare_with_champion(
    registry: Registry,
    champion: Version,
    candidate_mean: Callable[[], float],
    open_data: OpenData,
    settings: Settings,
) -> ChampionScore:
    """Score the champion on the present test split beside the candidate. An error becomes the fault of the gate."""
    from sensorproof.serving.rescore import rescore

    try:
        with tempfile.TemporaryDirectory() as folder:
            model = registry.fetch(champion, Path(folder))
            return ChampionScore(champion.number, rescore(model, open_data(), settings).mean, candidate_mean())
    except SensorproofError as error:
        return ChampionScore(champion.number, None, math.nan, f"{error.where}: {error.fault}")


def fetch_evaluation(registry: Registry, version: Version) -> Evaluation:
    """Fetch the evaluation that a version was registered with."""
    run, name = version.tags.get(tag.RUN_PARENT), "evaluation.json"
    if run is None:
        fault = f"has no tag {tag.RUN_PARENT}, so its evaluation cannot be found"
        raise SensorproofError(f"{MODEL} version {version.number}", fault, "register its model with `dvc repro`")
    return Evaluation.parse(fetch_json(registry.connection, run, name), f"{name} of MLflow run {run}")
