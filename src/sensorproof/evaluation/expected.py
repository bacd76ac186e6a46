"""The expected score when each sensor fails by itself with a known probability (mIoU^E of arXiv 2503.18445)."""

import math
from collections.abc import Iterable, Mapping

from sensorproof.documents.protocols import PARAMS
from sensorproof.evaluation.subsets import all_subsets, subset_name

PROBABILITIES = (0.2, 0.1, 0.05)
"""Of the failure of one sensor in one frame, as the protocol has them."""
Probability = float | Mapping[str, float]
"""Of the failure of each sensor: one for all, or {sensor: its own}."""


def expected_score(subsets: Mapping[str, float], sensors: Iterable[str], probability: Probability) -> float:
    """Average the scores of all subsets, each weighted by how likely it is.

    A sensor is missing with its p, and present with 1 - p. With one p, of M sensors, k missing: p^k (1 - p)^(M - k).
    That all are missing has no score and no weight.

    Args:
        subsets: {subset: mIoU} of every subset.
        sensors: all sensors.
        probability: p, of the failure of each sensor; below 1 for at least one of them.

    Examples:
        >>> expected_score({"camera": 40.0, "depth": 20.0, "camera+depth": 60.0}, ["camera", "depth"], 0.5)
        40.0
        >>> round(expected_score({"camera": 40.0, "depth": 20.0, "camera+depth": 60.0}, ["camera", "depth"], 0.1), 2)
        54.55
        >>> scores = {"camera": 40.0, "depth": 20.0, "camera+depth": 60.0}
        >>> expected_score(scores, ["camera", "depth"], {"camera": 0.5, "depth": 0.0})
        40.0
    """
    names = sorted(sensors)
    p = dict(probability) if isinstance(probability, Mapping) else dict.fromkeys(names, probability)
    weights = {
        subset_name(subset): math.prod(1 - p[name] if name in subset else p[name] for name in names)
        for subset in all_subsets(names)
    }
    return math.fsum(weight * subsets[name] for name, weight in weights.items()) / math.fsum(weights.values())


def expected_scores(
    subsets: Mapping[str, float], sensors: Iterable[str], probability: Mapping[str, float]
) -> dict[str, float]:
    """Return the expected scores with each of PROBABILITIES, and under PARAMS with the probabilities given."""
    names = sorted(sensors)
    expected = {f"{p:g}": expected_score(subsets, names, p) for p in PROBABILITIES}
    return {**expected, PARAMS: expected_score(subsets, names, probability)}
