"""Stage evaluate: score every run on the test split with every subset of its sensors, and compare the arms."""

from collections.abc import Sequence
from functools import partial

from sensorproof.adapters.dvc import locked_hash
from sensorproof.artifacts import (
    CHAMPION_START,
    EVALUATE,
    EVALUATION,
    PREPARED,
    QUARANTINED,
    SEARCH,
    SPECIALISTS,
    VERDICT,
    run_folder,
)
from sensorproof.console import report_errors
from sensorproof.documents import (
    BASELINE,
    FIGURES,
    ArmSettings,
    FineTuning,
    HoldoutRecord,
    RetrainingStart,
    ScoredRun,
    SearchResult,
    ValidationRecord,
)
from sensorproof.files import atomic_folder
from sensorproof.hashing import git_commit
from sensorproof.parallel import count_workers, preload
from sensorproof.progress import Progress
from sensorproof.settings import Settings, load_settings


@report_errors
def main() -> None:
    """Write artifacts/evaluate and artifacts/evaluation.json."""
    settings = load_settings()
    if count_workers(settings.compute.workers) > 1:
        preload("sensorproof.evaluation.runs")  # takes seconds, as the imports of this process do
    evaluate(settings)


def evaluate(settings: Settings) -> None:
    """Score all trainings, compare the arms and write the results."""
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.data.holdout import hash_holdout
    from sensorproof.evaluation.comparison import build_evaluation, compare_arms, summarize_data
    from sensorproof.evaluation.runs import RunFiles, score_runs
    from sensorproof.serving.package import hash_model

    data = PreparedDataset(PREPARED, QUARANTINED)
    start = RetrainingStart.read(CHAMPION_START).champion
    trained = settings.train.arms if start is None else [settings.promotion.candidate]
    folders = [run_folder(arm, seed) for arm in trained for seed in settings.train.seeds]
    holdout = hash_holdout(data)
    files = [RunFiles(folder, hash_model(folder / "model"), PREPARED, QUARANTINED) for folder in folders]
    scored = score_runs(files, settings, holdout, Progress("parts of the evaluation"))
    with atomic_folder(EVALUATE) as folder:
        for run, counts in scored:
            run.write(folder / f"{run.arm}-{run.seed}.json")
            counts.save(folder / f"{run.arm}-{run.seed}.npz")
    quarantined = ValidationRecord.read(VERDICT).frames.quarantined
    summary = summarize_data(data, locked_hash("prepare", settings.data.raw), quarantined)
    search = SearchResult.read(SEARCH / "trials.json")
    comparison, fine_tuning = None, None
    if start is None:
        comparison = compare_arms(scored, settings)
    else:
        skipped = tuple(arm for arm in settings.train.arms if arm not in trained)
        fine_tuning = FineTuning.of(start, skipped, HoldoutRecord(hash=holdout, frames=len(data.rows("test"))))
        summary = summary.model_copy(update={"trained_on": tuple(sorted({*summary.trained_on, *start.trained_on}))})
    evaluation = build_evaluation(
        [run for run, _ in scored],
        summary,
        search,
        settings,
        git_commit(),
        comparison,
        [counts for _, counts in scored],
        fine_tuning,
    )
    if settings.evaluate.specialists and fine_tuning is None:
        from sensorproof.compare.specialists import refer_to_specialists

        runs = [run for run, _ in scored]
        reference = refer_to_specialists(runs, _train_specialists(runs, settings), settings.evaluate.confidence)
        evaluation = evaluation.model_copy(update={"specialists": reference})
    evaluation.write(EVALUATION)
    for arm, scores in evaluation.arms.items():
        print(f"{arm}: " + ", ".join(f"{figure} {scores.figure(figure).mean:.1f}" for figure in FIGURES))


def _train_specialists(runs: Sequence[ScoredRun], settings: Settings) -> list[ScoredRun]:
    """Train a plain model for every subset, as stage train trains the baseline; results are kept."""
    from sensorproof.compare.jobs import DataFiles
    from sensorproof.compare.specialists import train_specialists
    from sensorproof.experiment import RunSpec
    from sensorproof.objectives.build import NO_REGULARIZATION

    plain = [run for run in runs if run.arm == BASELINE]
    own = ArmSettings.read(SEARCH / "arms" / f"{BASELINE}.json")
    model, train = settings.model, own.apply(settings.train)
    specs = [RunSpec(BASELINE, run.seed, train.steps, model, train, NO_REGULARIZATION) for run in plain]
    show, files = partial(print, flush=True), DataFiles(PREPARED, QUARANTINED, own.standardize or {})
    return train_specialists(plain, specs, SPECIALISTS, count_workers(settings.compute.workers), show, files)


if __name__ == "__main__":
    main()
