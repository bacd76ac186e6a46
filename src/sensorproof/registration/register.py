"""Log, register and decide.

One model is registered for each result: of the candidate arm, the seed that did best on validation data. The test split
never chooses it, so that the test score remains an unbiased estimate. The models of the other runs are not uploaded;
their runs carry the hash of the model, which DVC's cache has.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import Connection
from sensorproof.adapters.mlflow_model import log_model
from sensorproof.adapters.mlflow_registry import CHAMPION, Registry, Version
from sensorproof.adapters.mlflow_runs import (
    close_abandoned,
    find_children,
    find_parent,
    log_child,
    log_files,
    parent_run,
    tag_run,
)
from sensorproof.artifacts import PREPARED, QUARANTINED, REPORT, REPORT_FOLDER
from sensorproof.documents import Evaluation, SearchResult
from sensorproof.evaluation.gates import evaluate_gates, list_reasons
from sensorproof.promotion import PromotionDecision, decide_promotion
from sensorproof.registration.lineage import log_lineage
from sensorproof.registration.records import describe_data, key_tags, pipeline_record, run_record, version_tags
from sensorproof.registration.results import Run
from sensorproof.registration.search_runs import log_search
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset

_Children = Mapping[tuple[str, int], str]
"""{(arm, seed): id of the MLflow run}."""


def register_results(
    connection: Connection,
    evaluation: Evaluation,
    runs: list[Run],
    settings: Settings,
    search: SearchResult | None = None,
) -> PromotionDecision:
    """Log the results, register the candidate's best model and decide on its promotion.

    Results that were logged before are found again, and only the report is replaced.

    Args:
        connection: see `mlflow.connect`. No other process of the project may register meanwhile.
        evaluation: the content of artifacts/evaluation.json.
        runs: every run of the evaluation.
        settings: the candidate, the thresholds, and the settings to log.
        search: the trials to log, or None.
    """
    keys = key_tags(evaluation)
    if earlier := find_parent(connection, keys):
        parent, children = earlier.info.run_id, find_children(connection, earlier.info.run_id)
        log_files(connection, parent, [REPORT, REPORT_FOLDER])
        return _decide(connection, evaluation, runs, settings, parent, children, earlier.data.tags)
    close_abandoned(connection, keys)
    data = describe_data(evaluation, settings)
    with parent_run(connection, pipeline_record(evaluation, keys, settings), data) as parent:
        children = {run.key: log_child(connection, parent, run_record(run, evaluation), data) for run in runs}
        if search is not None:
            log_search(connection, parent, search, keys, data)
        return _decide(connection, evaluation, runs, settings, parent, children, {})


def _decide(
    connection: Connection,
    evaluation: Evaluation,
    runs: list[Run],
    settings: Settings,
    parent: str,
    children: _Children,
    earlier: Mapping[str, str],
) -> PromotionDecision:
    """Register the best model of the candidate arm, decide, and write the decision on version and parent.

    `earlier` are the parent's tags if these results were decided on before. That decision, or what a person has decided
    since, stands while the version is champion. For any other version the gates are evaluated again, as the champion
    may have changed since.
    """
    candidates = [run for run in runs if run.scores.arm == settings.promotion.candidate]
    if not candidates:
        decision = PromotionDecision(None, evaluate_gates(evaluation, settings.promotion, None, []))
        tag_run(connection, parent, decision.tags(), "; ".join(list_reasons(decision.gates)))
        return decision
    best = max(candidates, key=lambda run: (run.scores.validation_mean, -run.scores.seed))
    registry = Registry(connection)
    tags = {**key_tags(evaluation), tag.RUN_PARENT: parent}
    version = registry.find(best.scores.model_sha256) or _add_version(registry, children, best, evaluation, tags)
    if PromotionDecision.is_refused_by_hand(version.tags):
        return PromotionDecision.from_tags(version.number, version.tags)
    if CHAMPION in version.aliases and earlier.get(tag.MODEL_VERSION) == str(version.number):
        return PromotionDecision.from_tags(version.number, version.tags)
    decision = decide_promotion(registry, version, best.model, evaluation, _open_data, settings)
    description = decision.describe(version)
    registry.annotate(version, {**tags, **decision.tags()}, description)
    tag_run(connection, parent, {**decision.tags(), tag.MODEL_VERSION: str(version.number)}, description)
    log_lineage(registry, version.number)
    return decision


def _add_version(
    registry: Registry, children: _Children, run: Run, evaluation: Evaluation, tags: Mapping[str, str]
) -> Version:
    """Log a run's model under its MLflow run and register it."""
    from sensorproof.models.storage import load_description  # loads torch, which a run without a new model spares
    from sensorproof.registration.model_card import write_card

    run_id = children[run.key]
    card = write_card(run, load_description(run.model), evaluation)
    uri, model_id = log_model(registry.connection, run_id, run.model, card)
    return registry.add(uri, model_id, run_id, {**tags, **version_tags(run)})


def _open_data() -> "PreparedDataset":
    """Open the data that candidate and champion are scored on."""
    from sensorproof.data.dataset import PreparedDataset

    return PreparedDataset(PREPARED, QUARANTINED)
