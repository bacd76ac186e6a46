"""Specialists: a plain model for every subset of the sensors, trained on that subset's sensors alone.

Each knows at training time which sensors it will have, as no single model does. So they are a reference for how much
there is to win: one model that comes near them with every subset has little left to gain.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sensorproof.compare.jobs import DataFiles, Report, train_and_test
from sensorproof.documents import BASELINE, ScoredRun
from sensorproof.documents.evaluation import SpecialistReference
from sensorproof.evaluation.comparison import summarize_arm
from sensorproof.evaluation.statistics import paired_share
from sensorproof.experiment import RunSpec

SPECIALISTS: Final = "specialists"
"""Stands for the arm whose score with a subset is that of the subset's specialist."""


def train_specialists(
    plain: Sequence[ScoredRun],
    specs: Sequence[RunSpec],
    folder: Path,
    workers: int,
    report: Report,
    files: DataFiles | None = None,
) -> list[ScoredRun]:
    """Train and test a specialist for every subset and seed; that of all sensors is the plain model itself.

    Args:
        plain: the scores of the plain model, one a seed.
        specs: its training with each of these seeds.
        folder: for the results, and where the data are, unless `files` says otherwise.
        workers: number of processes.
        report: prints one line for each training.
        files: the prepared data.

    Returns:
        For each seed the scores of all its specialists; parameters and training time are those of all together.

    Raises:
        SensorproofError: no labelled frame has any sensor of a subset.
    """
    names = list(plain[0].subsets)
    given = [tuple(name.split("+")) for name in names[:-1]]
    jobs = [(spec, sensors) for spec in specs for sensors in given]
    runs = train_and_test([spec for spec, _ in jobs], folder, workers, report, [own for _, own in jobs], files)
    parts = (runs[at : at + len(given)] for at in range(0, len(jobs), len(given)))
    return [_merge([*own, whole], names) for own, whole in zip(parts, plain, strict=True)]


def refer_to_specialists(
    runs: Sequence[ScoredRun], specialists: Sequence[ScoredRun], confidence: float
) -> SpecialistReference:
    """Return the specialists' scores, and the share of their gain that each arm reaches.

    Args:
        runs: of all arms, each with the seeds of the specialists, in their order.
        specialists: from `train_specialists`.
        confidence: of the intervals, between 0 and 1.
    """
    best = [run.mean for run in specialists]
    means = {arm: [run.mean for run in runs if run.arm == arm] for arm in dict.fromkeys(run.arm for run in runs)}
    summary = summarize_arm(specialists)
    return SpecialistReference(
        mean=summary.mean,
        worst=summary.worst,
        subsets=summary.subsets,
        parameters=summary.parameters,
        train_seconds=summary.train_seconds,
        shares={
            arm: paired_share(own, means[BASELINE], best, confidence) for arm, own in means.items() if arm != BASELINE
        },
    )


def _merge(runs: Sequence[ScoredRun], names: Sequence[str]) -> ScoredRun:
    """Put the specialists of one seed together, each scored with its own subset."""
    scores = {name: run.subsets[name] for name, run in zip(names, runs, strict=True)}
    values = list(scores.values())
    return ScoredRun(
        full=values[-1],
        mean=float(np.mean(values)),
        worst=min(values),
        spread=float(np.std(values)),
        subsets=scores,
        per_class={name: run.per_class[name] for name, run in zip(names, runs, strict=True)},
        support=runs[-1].support,
        arm=SPECIALISTS,
        seed=runs[-1].seed,
        train_seconds=sum(run.train_seconds for run in runs),
        parameters=sum(run.parameters for run in runs),
    )
