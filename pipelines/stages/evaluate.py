"""Stage evaluate: score every run on the test split with every subset of its sensors, and compare the arms."""

from sensorproof.adapters.dvc import locked_hash
from sensorproof.artifacts import EVALUATE, EVALUATION, PREPARED, QUARANTINED, SEARCH, VERDICT, run_folder
from sensorproof.console import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import FIGURES, SearchResult, ValidationRecord
from sensorproof.evaluation.comparison import build_evaluation, summarize_data
from sensorproof.experiment import score_run
from sensorproof.files import atomic_folder
from sensorproof.hashing import git_commit
from sensorproof.serving.package import hash_model
from sensorproof.settings import load_settings


@report_errors
def main() -> None:
    """Write artifacts/evaluate and artifacts/evaluation.json."""
    settings = load_settings()
    data = PreparedDataset(PREPARED, QUARANTINED)
    folders = [run_folder(arm, seed) for arm in settings.train.arms for seed in settings.train.seeds]
    runs = [score_run(folder, hash_model(folder / "model"), data, settings) for folder in folders]
    with atomic_folder(EVALUATE) as folder:
        for run in runs:
            run.write(folder / f"{run.arm}-{run.seed}.json")
    quarantined = ValidationRecord.read(VERDICT).frames.quarantined
    summary = summarize_data(data, locked_hash("prepare", settings.data.raw), quarantined)
    evaluation = build_evaluation(runs, summary, SearchResult.read(SEARCH / "trials.json"), settings, git_commit())
    evaluation.write(EVALUATION)
    for arm, scores in evaluation.arms.items():
        print(f"{arm}: " + ", ".join(f"{figure} {scores.figure(figure).mean:.1f}" for figure in FIGURES))


if __name__ == "__main__":
    main()
