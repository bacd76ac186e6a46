"""Stage register: log parent and runs to MLflow, register the candidate's best model, promote it or say why not.

One model is registered for each result: of the candidate arm, the seed that did best on validation data. Never on test
data, for the test score must stay a promise of how the chosen model will do. The models of the other runs are not
uploaded; their runs carry the hash by which DVC's cache has them.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorproof.adapters import quiet_environment
from sensorproof.artifacts import EVALUATE, EVALUATION, PREPARED, QUARANTINED, REPORT, SUMMARY, run_folder
from sensorproof.cli.errors import report_errors
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.gates import evaluate_gates, reasons
from sensorproof.files import hash_file, read_json, write_json
from sensorproof.locks import locked
from sensorproof.serving.package import hash_model
from sensorproof.settings import Settings, load_settings

if TYPE_CHECKING:
    from sensorproof.adapters.mlflow import Connection, DataSet, Record
    from sensorproof.adapters.mlflow_registry import Registry, Version
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.promotion import PromotionDecision

Run = dict[str, Any]
"""What stages train and evaluate left of one run."""
FIGURES = ("full", "mean", "worst", "spread")
SECTIONS = ("data", "model", "train", "regularizer", "search", "evaluate")
"""The parts of params.yaml that decide the figures; MLflow shows them with the parent."""
SEPARATOR = "."
"""Between sensors in the name of a metric, where MLflow has no `+`; sensors' names have no dot."""


@report_errors
def main() -> None:
    quiet_environment()
    from sensorproof.adapters.mlflow import connect

    settings = load_settings()
    evaluation = read_json(EVALUATION)
    runs = read_runs(evaluation)
    with locked("registry"), connect() as connection:
        decision = register(connection, evaluation, runs, settings)
    write_json(SUMMARY, {**evaluation, "promotion": decision.to_json()})
    name = f"{decision.to_json()['model']} version {decision.version}"
    print(f"promoted: {name} is champion" if decision.promoted else f"refused: {name}")
    for reason in reasons(decision.gates):
        print(f"  {reason}")


def read_runs(evaluation: Mapping[str, Any]) -> list[Run]:
    """Every run that the evaluation speaks of: its scores, its training, and the hash of its model.

    Raises:
        SensorproofError: a file is missing, or a model is no longer the one that was scored.
    """
    runs = []
    for arm, scores in evaluation["arms"].items():
        for seed in scores["seeds"]:
            folder = run_folder(arm, seed)
            run = {**read_json(folder / "train.json"), **read_json(EVALUATE / f"{arm}-{seed}.json")}
            model_hash = hash_model(folder / "model")
            if run.get("model_sha256", model_hash) != model_hash:
                fix = "run `dvc repro --force --single-item evaluate`, or restore it with `dvc checkout`"
                raise SensorproofError(folder / "model", "is not the model that was scored", fix)
            runs.append({**run, "model_sha256": model_hash, "history": read_history(folder / "history.csv")})
    return runs


def read_history(path: Path) -> list[dict[str, float]]:
    """Rows of scalars by step; empty cells are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


def register(
    connection: "Connection", evaluation: Mapping[str, Any], runs: list[Run], settings: Settings
) -> "PromotionDecision":
    """Log, register and decide. Results that were logged before are found again, and nothing is added."""
    from sensorproof.adapters.mlflow import (
        close_abandoned,
        find_children,
        find_parent,
        log_child,
        log_files,
        parent_run,
    )

    keys = key_tags(evaluation)
    if earlier := find_parent(connection, keys):
        parent, children = earlier.info.run_id, find_children(connection, earlier.info.run_id)
        log_files(connection, parent, [REPORT])
        return decide(connection, evaluation, runs, settings, parent, children, earlier.data.tags)
    close_abandoned(connection, keys)
    data = describe_data(evaluation, settings)
    with parent_run(connection, pipeline_record(evaluation, keys, settings), data) as parent:
        children = {
            (run["arm"], run["seed"]): log_child(connection, parent, run_record(run, evaluation, settings), data)
            for run in runs
        }
        return decide(connection, evaluation, runs, settings, parent, children, {})


def decide(
    connection: "Connection",
    evaluation: Mapping[str, Any],
    runs: list[Run],
    settings: Settings,
    parent: str,
    children: Mapping[tuple[str, int], str],
    earlier: Mapping[str, str],
) -> "PromotionDecision":
    """Register the best model of the candidate arm and judge it; write the decision on version and parent.

    `earlier` are the parent's tags where these results were decided on before: that stands while the version is
    champion. Any other is judged again, for the champion may have changed since.
    """
    from sensorproof.adapters.mlflow import tag_run
    from sensorproof.adapters.mlflow_registry import CHAMPION, Registry
    from sensorproof.promotion import PromotionDecision, decide_promotion, describe

    mine = [run for run in runs if run["arm"] == settings.promotion.candidate]
    if not mine:
        decision = PromotionDecision(None, evaluate_gates(evaluation, settings.promotion, None))
        tag_run(connection, parent, decision.tags(), "; ".join(reasons(decision.gates)))
        return decision
    best = max(mine, key=lambda run: (run["validation_mean"], -run["seed"]))
    registry = Registry(connection)
    tags = {**key_tags(evaluation), "run.parent": parent}
    version = registry.find(best["model_sha256"]) or add_version(registry, children, best, tags)
    if CHAMPION in version.aliases and earlier.get("model.version") == str(version.number):
        return PromotionDecision.from_tags(earlier)
    decision = decide_promotion(registry, version, evaluation, best["mean"], open_data, settings)
    note = describe(version, decision)
    registry.describe(version, {**tags, **decision.tags()}, note)
    tag_run(connection, parent, {**decision.tags(), "model.version": str(version.number)}, note)
    return decision


def add_version(
    registry: "Registry", children: Mapping[tuple[str, int], str], run: Run, tags: Mapping[str, str]
) -> "Version":
    """Log a run's model under its run and register it."""
    from sensorproof.adapters.mlflow_model import log_model
    from sensorproof.adapters.mlflow_registry import HASH

    run_id = children[run["arm"], run["seed"]]
    uri, model_id = log_model(registry.connection, run_id, run_folder(run["arm"], run["seed"]) / "model")
    own = {"arm": run["arm"], "seed": str(run["seed"]), "miou.mean": f"{run['mean']:.1f}", HASH: run["model_sha256"]}
    return registry.add(uri, model_id, run_id, {**tags, **own})


def open_data() -> "PreparedDataset":
    """The data that the champion is scored on."""
    from sensorproof.data.dataset import PreparedDataset

    return PreparedDataset(PREPARED, QUARANTINED)


def key_tags(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """The tags by which the same results are known again, and the commit."""
    return {
        "data.hash": evaluation["data"]["hash"],
        "params.hash": evaluation["params_hash"],
        "evaluation.hash": hash_file(EVALUATION),
    }


def describe_data(evaluation: Mapping[str, Any], settings: Settings) -> "DataSet":
    """The batches as one data set, named by the hash under which DVC has them."""
    from sensorproof.adapters.mlflow import DataSet

    data = evaluation["data"]
    profile = {"batches": data["batches"], "frames": data["frames"]}
    return DataSet(Path(settings.data.raw).name, data["hash"], settings.data.raw, profile)


def pipeline_record(evaluation: Mapping[str, Any], keys: Mapping[str, str], settings: Settings) -> "Record":
    """The parent: the whole configuration, the gain, the candidate's means over seeds, and the page to read."""
    from sensorproof.adapters.mlflow import Record

    metrics: dict[str, float | None] = {}
    for figure, gain in evaluation["gain"].items():
        low, high = gain["ci95"]
        metrics |= {f"gain/{figure}": gain["value"], f"gain/{figure}/low": low, f"gain/{figure}/high": high}
    scores = evaluation["arms"].get(settings.promotion.candidate, {})
    metrics |= {f"miou/{figure}": scores[figure]["mean"] for figure in FIGURES if figure in scores}
    return Record(
        name=f"pipeline {keys['evaluation.hash'][:8]}",
        tags={**keys, "git.commit": evaluation["git_commit"], "candidate": settings.promotion.candidate},
        params=flatten({name: getattr(settings, name) for name in SECTIONS}),
        metrics=metrics,
        artifacts=[EVALUATION, REPORT],
    )


def run_record(run: Run, evaluation: Mapping[str, Any], settings: Settings) -> "Record":
    """A child: one training with its curves, and its scores on the test split."""
    from sensorproof.adapters.mlflow import Record

    metrics = {f"miou/{figure}": run[figure] for figure in FIGURES}
    metrics |= {f"miou/subset/{subset.replace('+', SEPARATOR)}": score for subset, score in run["subsets"].items()}
    metrics |= {"validation/miou/mean": run["validation_mean"]}
    metrics |= {name: run[name] for name in ("train_seconds", "parameters")}
    tags = {
        "arm": run["arm"],
        "seed": str(run["seed"]),
        "data.hash": evaluation["data"]["hash"],
        "params.hash": evaluation["params_hash"],
        "git.commit": evaluation["git_commit"],
        "model.sha256": run["model_sha256"],
    }
    params = {"arm": run["arm"], "seed": run["seed"], **flatten({"regularizer": run["regularizer"]})}
    history = [{curve(name): value for name, value in row.items()} for row in run["history"]]
    return Record(f"{run['arm']} seed {run['seed']}", tags, params, metrics, history)


def curve(column: str) -> str:
    """The metric of a column of history.csv: what a sensor contributes keeps its name, losses go under train/."""
    return column if column == "step" or column.startswith("information/") else f"train/{column}"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"train": {"steps": 400}} -> {"train.steps": 400}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        branch = value.model_dump() if hasattr(value, "model_dump") else value
        flat |= flatten(branch, f"{prefix}{name}.") if isinstance(branch, Mapping) else {f"{prefix}{name}": branch}
    return flat


if __name__ == "__main__":
    main()
