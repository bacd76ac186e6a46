"""What each sensor contributes: its Shapley value (Shapley 1953) over the scores of all subsets of the sensors.

Sensors are the players, and the mIoU of a subset is what its sensors win together. A sensor's value is its gain in mIoU
when it joins, averaged over all orders in which the sensors can join; the values add up to what all win together.
Without any sensor one can still name the most frequent class everywhere. The score of that, and not 0, is the value of
no sensors: else every sensor would be credited with an equal part of what no sensor is needed for.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sensorproof.documents.contributions import Contributions, SensorContribution
from sensorproof.documents.evaluation import BASELINE
from sensorproof.documents.runs import ScoredRun
from sensorproof.evaluation.bootstrap import Draws, Floats, choose_units, draw, subset_scores
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.statistics import summarize
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.settings import Settings

Scored = Sequence[tuple[ScoredRun, PixelCounts]]


@cache
def _weights(sensors: tuple[str, ...]) -> Floats:
    """Return (M, S + 1): what the score of each subset, and last that of no sensor, counts for each sensor."""
    subsets = [*all_subsets(sensors), ()]
    places = {frozenset(subset): place for place, subset in enumerate(subsets)}
    number = len(sensors)
    weights = np.zeros((number, len(subsets)))
    for row, name in enumerate(sorted(sensors)):
        for subset in subsets:
            if name not in subset:
                orders = math.factorial(len(subset)) * math.factorial(number - len(subset) - 1)
                share = orders / math.factorial(number)
                weights[row, places[frozenset((*subset, name))]] += share
                weights[row, places[frozenset(subset)]] -= share
    return weights


def shapley_values(scores: Mapping[str, float], empty: float, sensors: Sequence[str]) -> dict[str, float]:
    """Return the Shapley value of every sensor, in points.

    Args:
        scores: {subset: mIoU} of every subset.
        empty: the score without any sensor.
        sensors: all sensors.

    Examples:
        >>> shapley_values({"camera": 40.0, "depth": 20.0, "camera+depth": 50.0}, 10.0, ["camera", "depth"])
        {'camera': 30.0, 'depth': 10.0}
    """
    names = tuple(sorted(sensors))
    values = _weights(names) @ np.array([*(scores[subset_name(each)] for each in all_subsets(names)), empty])
    return dict(zip(names, values.tolist(), strict=True))


def empty_score(truth: NDArray[np.number]) -> Floats:
    """Return the mIoU (…) of naming the most frequent class everywhere, in points.

    Args:
        truth: (…, K) pixels of each class in the ground truth.

    Examples:
        >>> float(empty_score(np.array([60, 40, 0])))
        30.0
    """
    total, classes = truth.sum(-1), (truth > 0).sum(-1)
    best = np.divide(truth.max(-1), total, out=np.full(np.shape(total), np.nan), where=total > 0)
    return np.asarray(100 * best / np.maximum(classes, 1))


def contributions_of_arms(scored: Scored, settings: Settings) -> dict[str, Contributions]:
    """Compute the contributions of every arm, with intervals over seeds and frames.

    Args:
        scored: runs of all arms with their pixel counts; those of one arm in the order of their seeds.
        settings: the number of draws and the confidence.
    """
    arms = list(dict.fromkeys(run.arm for run, _ in scored))
    by_arm = {arm: [(run, counts) for run, counts in scored if run.arm == arm] for arm in arms}
    draws = {arm: _draw([counts for _, counts in own], settings) for arm, own in by_arm.items()}
    seeds = {arm: [run.seed for run, _ in own] for arm, own in by_arm.items()}
    result = {}
    for arm, own in by_arm.items():
        paired = arm != BASELINE and seeds[arm] == seeds.get(BASELINE)
        changes = draws[arm] - draws[BASELINE] if paired else None
        result[arm] = _contributions(own, draws[arm], changes, settings.evaluate.confidence)
    return result


def _draw(counts: Sequence[PixelCounts], settings: Settings) -> Draws:
    first = counts[0]
    weights = _weights(first.sensors)

    def values(sums: Floats) -> Floats:
        """Return (…, M) of counts (…, S, K, 3)."""
        empty = empty_score(sums[..., -1, :, 1])
        return np.concatenate([subset_scores(sums), empty[..., None]], -1) @ weights.T

    _, units = choose_units(first.sequences)
    return draw([each.counts for each in counts], units, settings.promotion.resamples, figures=values)


def _contributions(own: Scored, draws: Draws, changes: Draws | None, confidence: float) -> Contributions:
    runs, first = [run for run, _ in own], own[0][1]

    def of_sensor(place: int, name: str) -> SensorContribution:
        measured = [run.information[name] for run in runs if run.information and name in run.information]
        complete = len(measured) == len(runs)
        return SensorContribution(
            shapley=draws.estimate(place, confidence, fixed_models=False),
            change=changes.estimate(place, confidence, fixed_models=False) if changes else None,
            information=summarize([each.information for each in measured]) if complete else None,
            relevance=summarize([each.relevance for each in measured]) if complete else None,
        )

    truth = first.counts[:, -1, :, 1].sum(0, dtype=np.int64)
    sensors = {name: of_sensor(place, name) for place, name in enumerate(first.sensors)}
    return Contributions(empty=float(empty_score(truth)), sensors=sensors)
