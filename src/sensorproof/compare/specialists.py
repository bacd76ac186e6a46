"""Specialists: a plain model for every subset of the sensors, trained on that subset's sensors alone.

Each knows at training time which sensors it will have, as no single model does. So they are a reference for how much
there is to win: one model that comes near them with every subset has little left to gain.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sensorproof.compare.jobs import Report, Sensors, train_and_test
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import ScoredRun
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.experiment import RunSpec

SPECIALISTS: Final = "specialists"
"""Stands for the arm whose score with a subset is that of the subset's specialist."""


def train_specialists(specs: Sequence[RunSpec], folder: Path, workers: int, report: Report) -> list[ScoredRun]:
    """Train and test a specialist for every subset and seed; that of all sensors is the plain model itself.

    Args:
        specs: the plain training with each seed.
        folder: where the data set's arrays and results are.
        workers: number of processes.
        report: prints one line for each training.

    Returns:
        For each seed the scores of all its specialists; parameters and training time are those of all together.

    Raises:
        SensorproofError: no labelled frame has any sensor of a subset.
    """
    subsets = all_subsets(PreparedDataset(folder / "prepared").sensors)
    # All sensors are named by None, so that the result of the plain arm is used.
    given: list[Sensors] = [*subsets[:-1], None]
    jobs = [(spec, sensors) for spec in specs for sensors in given]
    runs = train_and_test([spec for spec, _ in jobs], folder, workers, report, [sensors for _, sensors in jobs])
    names = [subset_name(subset) for subset in subsets]
    return [_merge(runs[at : at + len(names)], names) for at in range(0, len(runs), len(names))]


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
