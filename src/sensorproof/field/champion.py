"""The present champion: its version, and what it was trained on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_registry import CHAMPION, MODEL, Registry, Version
from sensorproof.documents import Evaluation
from sensorproof.errors import SensorproofError
from sensorproof.promotion.comparison import fetch_evaluation

NO_CHAMPION = "there is no champion yet"
ADDRESS = f"models:/{MODEL}"
"""Of a version, with its number behind a slash."""


@dataclass(frozen=True)
class Champion:
    """The version that is in use."""

    version: int
    batches: frozenset[str] | None
    """The batches that it was trained, chosen and tested on; None if it does not say."""
    expected_confidence: float | None
    """Of its arm on the test split, with all sensors; None where it was not measured."""


@dataclass(frozen=True)
class RegistryFacts:
    """What the registry knows."""

    champion: Champion | None
    last_retraining: datetime | None
    """When the newest version was registered, whatever became of it."""


def read_registry() -> RegistryFacts:
    """Ask the registry; one that was never written to has no champion.

    Raises:
        SensorproofError: the registry cannot be read.
    """
    with _open_registry() as registry:
        if registry is None:
            return RegistryFacts(None, None)
        versions = registry.versions()
        champion = next((version for version in versions if CHAMPION in version.aliases), None)
        return RegistryFacts(
            None if champion is None else _describe(registry, champion), versions[0].created if versions else None
        )


@contextmanager
def _open_registry() -> Iterator[Registry | None]:
    try:
        with connect(create=False) as connection:
            yield Registry(connection)
    except SensorproofError as error:
        if error.where != "mlflow.db":
            raise
        yield None  # nothing was registered yet


def _describe(registry: Registry, version: Version) -> Champion:
    try:
        evaluation = fetch_evaluation(registry, version)
    except SensorproofError:  # registered by an earlier release, or its run was removed
        return Champion(version.number, None, None)
    batches = frozenset(evaluation.data.batches)
    return Champion(version.number, batches, _expected_confidence(evaluation, version.arm))


def _expected_confidence(evaluation: Evaluation, arm: str) -> float | None:
    """Return the mean confidence of an arm with all sensors on the test split."""
    scores = evaluation.arms.get(arm)
    if scores is None or not scores.calibration:
        return None
    full = max(scores.calibration, key=lambda subset: len(subset.split("+")))
    return round(scores.calibration[full].confidence.mean, 4)
