"""Scores under the protocols, of one arm over its seeds."""

from collections.abc import Sequence
from typing import Any

from sensorproof.documents.protocols import ProtocolScores
from sensorproof.documents.statistic import Statistic
from sensorproof.evaluation.statistics import summarize

_SETTINGS = ("failure_probability", "seed")


def average_protocols(runs: Sequence[ProtocolScores[float] | None]) -> ProtocolScores[Statistic] | None:
    """Summarise models that were tried under the same protocols.

    Returns:
        Means and standard deviations over the seeds; None where a model was not tried.
    """
    known = [run.to_json() for run in runs if run is not None]
    if not known or len(known) < len(runs):
        return None
    same = {name: known[0][name] for name in _SETTINGS}
    scores = _summarize([{key: part for key, part in run.items() if key not in _SETTINGS} for run in known])
    return ProtocolScores[Statistic].model_validate({**scores, **same})


def _summarize(parts: Sequence[Any]) -> Any:
    """Summarise the numbers at the same place of documents of one form."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: _summarize([part[key] for part in parts]) for key in first}
    return summarize(parts)
