"""Scores of single trainings -> a summary of each arm, gains paired by seed, and the whole evaluation."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensorproof.data.frame_table import Split
from sensorproof.documents.comparison import Comparison
from sensorproof.documents.evaluation import (
    BASELINE,
    FIGURES,
    FIGURES_AND_SPREAD,
    ArmSummary,
    DataSummary,
    Evaluation,
    FrameCounts,
    Gains,
    SearchSummary,
)
from sensorproof.documents.fine_tuning import FineTuning
from sensorproof.documents.runs import ScoredRun
from sensorproof.documents.search import SearchResult
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.calibration import average_calibration
from sensorproof.evaluation.contributions import contributions_of_arms
from sensorproof.evaluation.groups import group_scores
from sensorproof.evaluation.paired import compare_sides
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.protocol_average import average_protocols
from sensorproof.evaluation.silent_average import average_silent
from sensorproof.evaluation.statistics import paired_gain, summarize
from sensorproof.settings import Settings

if TYPE_CHECKING:
    from sensorproof.data.dataset import PreparedDataset


def build_evaluation(
    runs: Sequence[ScoredRun],
    data: DataSummary,
    search: SearchResult,
    settings: Settings,
    commit: str,
    comparison: Comparison | None = None,
    counts: Sequence[PixelCounts] = (),
    fine_tuning: FineTuning | None = None,
) -> Evaluation:
    """Build artifacts/evaluation.json.

    Args:
        runs: of all arms; those of one arm in the order of their seeds.
        data: the data that the runs were trained and scored on.
        search: the search that chose the regulariser's settings.
        settings: the candidate, the confidence, and the hash of all settings.
        commit: of the code.
        comparison: of the candidate with the baseline, see `compare_arms`.
        counts: the pixel counts of each run, for what each sensor contributes, and the tables by group.
        fine_tuning: how the candidate was fine-tuned, without a baseline; None if every arm was trained from scratch.
    """
    by_arm = {arm: [run for run in runs if run.arm == arm] for arm in dict.fromkeys(run.arm for run in runs)}
    confidence = settings.evaluate.confidence
    arms = {arm: summarize_arm(own) for arm, own in by_arm.items()}
    if counts:
        scored = list(zip(runs, counts, strict=True))
        contributions = contributions_of_arms(scored, settings)
        for arm, summary in arms.items():
            own = [each for run, each in scored if run.arm == arm]
            groups = group_scores(own, settings.promotion.min_group_frames)
            arms[arm] = summary.model_copy(update={"contributions": contributions[arm], "groups": groups})
    return Evaluation(
        data=data,
        params_hash=settings.hash,
        git_commit=commit,
        arms=arms,
        gain=None
        if fine_tuning is not None
        else compute_gains(by_arm[settings.promotion.candidate], by_arm[BASELINE], confidence),
        search=SearchSummary(trials=len(search.trials), best=search.best.model_dump()),
        comparison=comparison,
        fine_tuning=fine_tuning,
    )


def compare_arms(scored: Sequence[tuple[ScoredRun, PixelCounts]], settings: Settings) -> Comparison:
    """Compare the candidate with the baseline, frame by frame and paired by seed.

    Args:
        scored: the runs of both arms with their pixel counts; those of one arm in the order of their seeds.
        settings: the candidate, and see `compare_sides`.

    Raises:
        SensorproofError: the arms differ in seeds or in the frames that they were scored on.
    """
    ours, theirs = (
        [(run.seed, counts) for run, counts in scored if run.arm == arm]
        for arm in (settings.promotion.candidate, BASELINE)
    )
    if [seed for seed, _ in ours] != [seed for seed, _ in theirs]:
        raise SensorproofError("train.seeds", "the arms differ in seeds", "train every arm with the same seeds")
    return compare_sides([counts for _, counts in ours], [counts for _, counts in theirs], settings, fixed_models=False)


def summarize_data(data: "PreparedDataset", raw_hash: str, quarantined: int) -> DataSummary:
    """Summarise the data; frames are those that are used, labelled or not.

    Args:
        data: the prepared data, less the frames in quarantine.
        raw_hash: DVC's hash of the raw data.
        quarantined: number of frames in quarantine.
    """
    train, val, test = (int((data.frames.split == split).sum()) for split in ("train", "val", "test"))
    return DataSummary(
        batches=data.meta.batches,
        hash=raw_hash,
        frames=FrameCounts(train=train, val=val, test=test, quarantined=quarantined),
        classes=tuple(data.meta.class_names),
        sensors={name: sensor.kind for name, sensor in data.meta.sensors.items()},
        trained_on=sequences_of(data, "train"),
    )


def sequences_of(data: "PreparedDataset", split: Split) -> tuple[str, ...]:
    """List the sequences that the labelled frames of a split belong to, as site/sequence."""
    frames = data.frames.loc[data.rows(split)]
    return tuple(sorted({f"{site}/{name}" for site, name in zip(frames.site, frames.sequence, strict=True)}))


def summarize_arm(runs: Sequence[ScoredRun]) -> ArmSummary:
    """Summarise the runs of one arm, one a seed, over its seeds."""
    first = runs[0]
    full, mean, worst, spread = (summarize([run.figure(figure) for run in runs]) for figure in FIGURES_AND_SPREAD)
    return ArmSummary(
        seeds=tuple(run.seed for run in runs),
        full=full,
        mean=mean,
        worst=worst,
        spread=spread,
        subsets={name: summarize([run.subsets[name] for run in runs]) for name in first.subsets},
        per_class={
            name: {c: _mean_or_none([run.per_class[name][c] for run in runs]) for c in first.support}
            for name in first.subsets
        },
        support=first.support,
        parameters=first.parameters,
        train_seconds=sum(run.train_seconds for run in runs) / len(runs),
        silent=average_silent([run.silent for run in runs]),
        calibration=average_calibration([run.calibration for run in runs]),
        protocols=average_protocols([run.protocols for run in runs]),
    )


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    """Average the values that are there; None where the class is not in the ground truth."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def compute_gains(ours: Sequence[ScoredRun], theirs: Sequence[ScoredRun], confidence: float) -> Gains:
    """Compute ours minus theirs in each figure, with its interval.

    Args:
        ours: runs of one arm.
        theirs: runs of another arm, with the same seeds in the same order.
        confidence: of the intervals, between 0 and 1.

    Raises:
        SensorproofError: the two do not have the same seeds.
    """
    if [run.seed for run in ours] != [run.seed for run in theirs]:
        raise SensorproofError("train.seeds", "the arms differ in seeds", "train every arm with the same seeds")
    return Gains(
        **{
            figure: paired_gain([r.figure(figure) for r in ours], [r.figure(figure) for r in theirs], confidence)
            for figure in FIGURES
        }
    )
