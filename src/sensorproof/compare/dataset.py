"""Every arm on a data set, paired by seed, each tuned on validation data with the same budget. Test is scored once.

The trainings are independent of each other and run in as many processes as there are workers. Each result is kept in a
file of its own, so that an interrupted comparison resumes.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import get_args

from sensorproof.compare.jobs import Report, train_and_test, train_and_validate
from sensorproof.compare.specialists import SPECIALISTS, train_specialists
from sensorproof.data.prepare import prepare
from sensorproof.documents import BASELINE, CANDIDATE, ComparedArm, ScoredRun
from sensorproof.evaluation.comparison import compute_gains, summarize_arm
from sensorproof.evaluation.statistics import paired_share
from sensorproof.experiment import RunSpec
from sensorproof.files import read_json, write_json
from sensorproof.hashing import hash_json
from sensorproof.settings import Arm, BenchmarkDataset, Settings

ARMS: tuple[Arm, ...] = get_args(Arm)


def compare_dataset(
    dataset: BenchmarkDataset,
    settings: Settings,
    root: Path,
    workers: int,
    report: Report = print,
    *,
    specialists: bool = False,
) -> dict[str, ComparedArm]:
    """Tune and train every arm on one data set.

    Args:
        dataset: the data, and the length and seeds of the trainings.
        settings: everything else about the trainings.
        root: folder for the arrays and the results of single trainings.
        workers: number of processes, which share the processor's cores.
        report: prints one line for each training.
        specialists: also train a plain model for every subset, which stand as one more arm, SPECIALISTS.
    """
    folder = root / dataset.name
    prepare_dataset(dataset, settings, root)
    strengths = tune(dataset, settings, folder, workers, report)
    specs = [
        specify(arm, strengths[arm], seed, dataset.steps, dataset, settings) for arm in ARMS for seed in dataset.seeds
    ]
    results = train_and_test(specs, folder, workers, report)
    runs: dict[str, list[ScoredRun]] = {arm: [result for result in results if result.arm == arm] for arm in ARMS}
    if specialists:
        plain = [specify(BASELINE, 0.0, seed, dataset.steps, dataset, settings) for seed in dataset.seeds]
        runs[SPECIALISTS] = train_specialists(runs[BASELINE], plain, folder, workers, report)
    return {arm: _compare_arm(arm, runs, strengths, settings.evaluate.confidence) for arm in runs}


def _compare_arm(
    arm: str, runs: dict[str, list[ScoredRun]], strengths: dict[Arm, float], confidence: float
) -> ComparedArm:
    """Summarise an arm beside the baseline, the candidate, and the specialists where there are any."""
    share = None
    if SPECIALISTS in runs and arm not in (BASELINE, SPECIALISTS):
        own, lowest, best = ([run.mean for run in runs[each]] for each in (arm, BASELINE, SPECIALISTS))
        share = paired_share(own, lowest, best, confidence)
    return ComparedArm(
        **dict(summarize_arm(runs[arm])),
        strength=next((value for name, value in strengths.items() if name == arm), 0.0),
        gain=compute_gains(runs[arm], runs[BASELINE], confidence),
        gain_of_candidate=compute_gains(runs[CANDIDATE], runs[arm], confidence),
        share=share,
    )


def prepare_dataset(dataset: BenchmarkDataset, settings: Settings, root: Path) -> Path:
    """Prepare the arrays of a data set, unless they exist for the same files, image size, split and standardisation.

    Returns:
        The folder of the arrays.
    """
    folder = root / dataset.name
    files = sorted(path for path in Path(dataset.raw).rglob("*") if path.is_file())
    stamps = [
        [path.relative_to(dataset.raw).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in files
    ]
    own = settings.data.model_dump(include={"split", "standardize"})
    source = {"files": hash_json(stamps), "size": dataset.size, **own}
    if not (folder / "source.json").exists() or read_json(folder / "source.json") != source:
        prepare(settings.data.model_copy(update={"raw": dataset.raw, "size": dataset.size}), folder / "prepared")
        write_json(folder / "source.json", source)
    return folder / "prepared"


def tune(
    dataset: BenchmarkDataset,
    settings: Settings,
    folder: Path,
    workers: int,
    report: Report,
    arms: Sequence[Arm] = ARMS,
) -> dict[Arm, float]:
    """Choose each arm's strength by the selection score on the validation split, averaged over the tuning seeds.

    Args:
        dataset: the data, and the tuning seeds.
        settings: the strengths to choose from.
        folder: where the data set's arrays and results are.
        workers: number of processes.
        report: prints one line for each training.
        arms: to tune.

    Returns:
        {arm: strength}, 0 for an arm that has none.
    """
    strengths = settings.compare.strengths
    choices = [(arm, value) for arm in arms for value in strengths.get(arm, ())]
    steps = max(1, round(settings.compare.tuning_fraction * dataset.steps))
    specs = [
        specify(arm, value, seed, steps, dataset, settings) for arm, value in choices for seed in dataset.tuning_seeds
    ]
    results = iter(train_and_validate(specs, folder, workers, report))
    best: dict[Arm, tuple[float, float]] = {}
    for arm, value in choices:
        score = fmean(next(results).selection_score for _ in dataset.tuning_seeds)
        if arm not in best or score > best[arm][0]:
            best[arm] = (score, value)
    return {arm: best[arm][1] if arm in best else 0.0 for arm in arms}


def specify(arm: Arm, strength: float, seed: int, steps: int, dataset: BenchmarkDataset, settings: Settings) -> RunSpec:
    """Specify the training of an arm at a strength; nothing else differs between arms."""
    regularizer = settings.regularizer.model_copy(update={"strength": strength})
    train = settings.train.model_copy(update={"batch_size": dataset.batch_size, "learning_rate": dataset.learning_rate})
    return RunSpec(arm, seed, steps, settings.model, train, regularizer)
