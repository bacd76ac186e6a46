"""The expected score when each sensor fails by itself with a known probability (mIoU^E of arXiv 2503.18445)."""

import math
from collections.abc import Iterable, Mapping

from sensorproof.evaluation.subsets import all_subsets, subset_name

PROBABILITIES = (0.2, 0.1, 0.05)
"""Of the failure of one sensor in one frame, as the protocol has them."""


def expected_score(subsets: Mapping[str, float], sensors: Iterable[str], probability: float) -> float:
    """Average the scores of all subsets, each weighted by how likely it is.

    Of M sensors, k missing: p^k (1 - p)^(M - k). That all are missing has no score and no weight.

    Args:
        subsets: {subset: mIoU} of every subset.
        sensors: all sensors.
        probability: p, of the failure of each sensor.

    Examples:
        >>> expected_score({"camera": 40.0, "depth": 20.0, "camera+depth": 60.0}, ["camera", "depth"], 0.5)
        40.0
        >>> round(expected_score({"camera": 40.0, "depth": 20.0, "camera+depth": 60.0}, ["camera", "depth"], 0.1), 2)
        54.55
    """
    names = sorted(sensors)
    weights = {
        subset_name(subset): probability ** (len(names) - len(subset)) * (1 - probability) ** len(subset)
        for subset in all_subsets(names)
    }
    return math.fsum(weight * subsets[name] for name, weight in weights.items()) / math.fsum(weights.values())
