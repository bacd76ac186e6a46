"""Where a version comes from: code, settings, data, search, scores, gates, and who approved it."""

from collections.abc import Iterator

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow_registry import CHAMPION, MODEL, Registry, Version
from sensorproof.adapters.mlflow_runs import fetch_params
from sensorproof.documents import FIGURES, Evaluation
from sensorproof.documents.promotion import describe_gate
from sensorproof.errors import UsageError
from sensorproof.promotion.comparison import fetch_evaluation
from sensorproof.promotion.decision import PromotionDecision

_WIDTH = 13
Fact = tuple[str, str]
"""(name, value); a further line of the same fact has no name."""


def find_version(registry: Registry, number: int | None) -> Version:
    """Return the version of a number, or the champion.

    Raises:
        UsageError: there is none.
    """
    version = registry.with_alias(CHAMPION) if number is None else registry.version(number)
    if version is None:
        raise UsageError(f"{MODEL}@{CHAMPION}", "does not exist", "name a version: `sensorproof registry lineage 1`")
    return version


def describe_lineage(registry: Registry, version: Version) -> str:
    """Describe a version's lineage, one fact on a line.

    Raises:
        SensorproofError: its evaluation or its run cannot be fetched.
        RejectedError: the registry's history was changed.
    """
    evaluation = fetch_evaluation(registry, version)
    facts = [
        *_origin(version, evaluation.git_commit),
        *_data(evaluation),
        *_settings(registry, version, evaluation),
        *_decision(version),
        *_history(registry, version),
    ]
    return "\n".join(f"{name:<{_WIDTH}}{value}".rstrip() for name, value in facts)


def log_lineage(registry: Registry, number: int) -> None:
    """Write a version's lineage as `lineage.txt` to its pipeline run."""
    version = registry.version(number)
    run = version.tags.get(tag.RUN_PARENT)
    if run is not None:
        registry.client.log_text(run, describe_lineage(registry, version) + "\n", "lineage.txt")


def _origin(version: Version, commit: str | None) -> Iterator[Fact]:
    """Yield which training the version comes from."""
    tags = version.tags
    alias = ", ".join(version.aliases) or "no alias"
    yield "version", f"{version.number} ({alias}), registered {version.created:%Y-%m-%d %H:%M} UTC"
    yield "training", f"arm {version.arm}, seed {tags.get(tag.SEED)}; MLflow run {version.run_id}"
    yield "model", f"SHA-256 {tags.get(tag.MODEL_HASH)}"
    yield "code", f"git commit {commit}" if commit else "no git commit was known"


def _data(evaluation: Evaluation) -> Iterator[Fact]:
    """Yield the data, how to get them back, and what validation left of them."""
    data, frames = evaluation.data, evaluation.data.frames
    yield "data", f"{', '.join(data.batches)}; DVC hash {data.hash}"
    yield "", "to get them back: `git checkout` the commit, then `dvc checkout`, or `dvc pull` from a remote"
    split = f"{frames.train} frames to train on, {frames.val} for validation, {frames.test} to test"
    yield "validation", f"{split}; {frames.quarantined} in quarantine"


def _settings(registry: Registry, version: Version, evaluation: Evaluation) -> Iterator[Fact]:
    """Yield the settings, what the search chose, and the scores."""
    yield "settings", f"SHA-256 {version.tags.get(tag.PARAMS_HASH)}; MLflow run {version.tags.get(tag.RUN_PARENT)}"
    for name, value in sorted(fetch_params(registry.connection, version.tags.get(tag.RUN_PARENT, "")).items()):
        yield "", f"{name}: {value}"
    best = ", ".join(f"{name} {value}" for name, value in evaluation.search.best.items())
    yield "search", f"{evaluation.search.trials} trials on validation data; chosen: {best}"
    if scores := evaluation.arms.get(version.arm):
        figures = ", ".join(f"{figure} {scores.figure(figure).mean:.1f}" for figure in FIGURES)
        yield "scores", f"mIoU of the arm on the test split: {figures}"


def _decision(version: Version) -> Iterator[Fact]:
    """Yield the decision, its gates, and who approved it."""
    tags = version.tags
    if tag.DECISION not in tags:
        yield "decision", "none yet"
        return
    decision = PromotionDecision.from_tags(version.number, tags)
    yield "decision", "promoted against its gates" if decision.forced else decision.outcome
    for gate in decision.gates:
        mark = "passed" if gate.passed else f"failed: {gate.reason}"
        yield "", f"{describe_gate(gate.to_record())}: {mark}"
    for text in decision.skipped:
        yield "skipped", text
    if decision.holdout is not None:
        yield "hold-out", f"{decision.holdout.frames} frames; SHA-256 {decision.holdout.hash}"
    if tag.APPROVED_BY in tags:
        yield "approved by", f"{tags[tag.APPROVED_BY]}: {tags.get(tag.APPROVED_BECAUSE, '')}"


def _history(registry: Registry, version: Version) -> Iterator[Fact]:
    """Yield every change that gave the version an alias."""
    for change in registry.history():
        roles = ", ".join(alias for alias, number in change.after.items() if number == version.number)
        if roles:
            time = change.time[:19].replace("T", " ")
            yield "alias", f"{time} {roles} ({change.action} by {change.by}: {change.reason})"
