"""Scores of single runs -> one object per arm, and the gain of one arm over another, paired by seed."""

from collections.abc import Mapping, Sequence
from typing import Any

from sensorproof.errors import SensorproofError
from sensorproof.evaluation.statistics import paired_gain, summarize

FIGURES = ("full", "mean", "worst", "spread")


def summarize_arm(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The `arms.<arm>` object of summary.json from runs that carry seed, scores, parameters and train_seconds."""
    subsets = runs[0]["subsets"]
    return {
        "seeds": [run["seed"] for run in runs],
        **{figure: summarize([run[figure] for run in runs]) for figure in FIGURES},
        "subsets": {name: summarize([run["subsets"][name] for run in runs]) for name in subsets},
        "per_class": {
            name: {c: _mean_or_none([run["per_class"][name][c] for run in runs]) for c in runs[0]["support"]}
            for name in subsets
        },
        "support": runs[0]["support"],
        "parameters": runs[0]["parameters"],
        "train_seconds": sum(run["train_seconds"] for run in runs) / len(runs),
    }


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    """None where the class is not in the ground truth."""
    present = [v for v in values if v is not None]
    return sum(present) / len(present) if present else None


def gain(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], confidence: float
) -> dict[str, dict[str, Any]]:
    """The `gain` object of summary.json: ours minus theirs for full, mean and worst, with its interval.

    Raises:
        SensorproofError: the two do not have the same seeds.
    """
    seeds = [run["seed"] for run in ours]
    if seeds != [run["seed"] for run in theirs]:
        raise SensorproofError("train.seeds", "the arms differ in seeds", "train every arm with the same seeds")
    return {
        figure: paired_gain([run[figure] for run in ours], [run[figure] for run in theirs], confidence)
        for figure in ("full", "mean", "worst")
    }
