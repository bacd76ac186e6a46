"""Stage evaluate: score every run on the test split with every subset of its sensors, and compare the arms."""

from typing import Any

from sensorproof.adapters.dvc import locked_hash
from sensorproof.artifacts import EVALUATE, EVALUATION, PREPARED, QUARANTINED, SEARCH, VERDICT, run_folder
from sensorproof.cli.errors import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.evaluation.comparison import gain, summarize_arm
from sensorproof.experiment import score_split
from sensorproof.files import atomic_folder, git_commit, read_json, write_json
from sensorproof.models import load_model
from sensorproof.serving.package import hash_model
from sensorproof.settings import Settings, load_settings

BASELINE = "baseline"


@report_errors
def main() -> None:
    settings = load_settings()
    data = PreparedDataset(PREPARED, QUARANTINED)
    arms, seeds = settings.train.arms, settings.train.seeds
    runs: dict[str, list[dict[str, Any]]] = {
        arm: [score_run(arm, seed, data, settings) for seed in seeds] for arm in arms
    }
    with atomic_folder(EVALUATE) as folder:
        for arm, each in runs.items():
            for run in each:
                write_json(folder / f"{arm}-{run['seed']}.json", run)
    search = read_json(SEARCH / "trials.json")
    summaries = {arm: summarize_arm(each) for arm, each in runs.items()}
    evaluation = {
        "data": describe_data(data, settings),
        "params_hash": settings.hash,
        "git_commit": git_commit(),
        "arms": summaries,
        "gain": gain(runs[settings.promotion.candidate], runs[BASELINE], settings.evaluate.confidence),
        "search": {"trials": len(search["trials"]), "best": search["best"]},
    }
    write_json(EVALUATION, evaluation)
    for arm, summary in summaries.items():
        print(f"{arm}: " + ", ".join(f"{f} {summary[f]['mean']:.1f}" for f in ("full", "mean", "worst")))


def score_run(arm: str, seed: int, data: PreparedDataset, settings: Settings) -> dict[str, Any]:
    """Scores of one run on the test split, with its cost and its validation mean."""
    folder = run_folder(arm, seed)
    model, _ = load_model(folder / "model")
    trained = read_json(folder / "train.json")
    scores = score_split(model, data, "test", settings.train.device, settings.evaluate.batch_size)
    cost = {name: trained[name] for name in ("train_seconds", "parameters")}
    return {
        "arm": arm,
        "seed": seed,
        **scores.to_json(),
        **cost,
        "validation_mean": trained["val"]["mean"],
        "model_sha256": hash_model(folder / "model"),
    }


def describe_data(data: PreparedDataset, settings: Settings) -> dict[str, Any]:
    """Which data the figures speak of; frames per split are those that count, labelled or not."""
    counts = {split: int((data.frames.split == split).sum()) for split in ("train", "val", "test")}
    quarantined = read_json(VERDICT)["frames"]["quarantined"]
    return {
        "batches": list(data.meta.batches),
        "hash": locked_hash("prepare", settings.data.raw),
        "frames": {**counts, "quarantined": quarantined},
        "classes": data.meta.class_names,
        "sensors": {name: sensor.kind for name, sensor in data.meta.sensors.items()},
    }


if __name__ == "__main__":
    main()
