"""Scores under the protocols of the field, in mIoU points (0 to 100): of one model, or over the seeds of an arm."""

from typing import Final, Generic, TypeVar

from sensorproof.documents.base import Document
from sensorproof.documents.optional import OmitsNone
from sensorproof.documents.statistic import Statistic

Score = TypeVar("Score", float, Statistic)
PARAMS: Final = "params"
"""The key of the score that is expected with the probabilities of `evaluate.failure_probability`."""


class SubsetTable(Document, Generic[Score]):
    """The score of every subset, and what is made of them."""

    mean: Score
    """Unweighted, over the subsets: mIoU^Avg."""
    worst: Score
    expected: dict[str, Score]
    """{probability of each sensor's failure, or PARAMS: mIoU^E}."""
    subsets: dict[str, Score]
    """By the sensors that are sound."""


class NoiseTable(Document, Generic[Score]):
    """NM at one level."""

    all: Score
    """Every sensor is noisy."""
    sensors: dict[str, Score]
    """This one alone is."""


class ProtocolScores(OmitsNone, Generic[Score]):
    """EMM, RMM and NM (arXiv 2503.18445), and degradations by severity. What was not tried is None."""

    failure_probability: dict[str, float]
    """{sensor: p}, of `evaluate.failure_probability`."""
    expected: dict[str, Score]
    """As in SubsetTable, a missing sensor being left out of the fusion."""
    emm: SubsetTable[Score] | None = None
    """A missing sensor is zero after normalisation."""
    rmm: dict[str, SubsetTable[Score]] | None = None
    """{r: a missing sensor has each value set to zero with probability r}."""
    nm: dict[str, NoiseTable[Score]] | None = None
    """{low, mid, high: salt and pepper and Gaussian noise}."""
    degradations: dict[str, dict[str, dict[str, Score]]] | None = None
    """{sensor: {degradation: {severity: all sensors given, this one degraded}}}; see `evaluation.degradations`."""
    seed: int
    """Of all noise and degradations."""


# Pickle finds a model with given types only if a module names it first.
_OF_ONE_MODEL = SubsetTable[float], NoiseTable[float], ProtocolScores[float]
