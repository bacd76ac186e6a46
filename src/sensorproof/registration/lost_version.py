"""Notice that the registry lost what was registered, for instance because somebody deleted the version in MLflow.

DVC knows files only. So the stage `registry`, which always runs, counts in artifacts/registry.json how often the
registry was found without the registered version; the stage `register` depends on that file, and registers again where
the count has changed.
"""

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_registry import Registry
from sensorproof.artifacts import REGISTRY, SUMMARY
from sensorproof.documents import RegistryState, Summary
from sensorproof.errors import SensorproofError, UsageError


def find_loss() -> str | None:
    """Say what the registry no longer holds of artifacts/summary.json; None if it holds it, or nothing is registered.

    Raises:
        SensorproofError: the tracking store cannot be reached, or the summary is faulty.
    """
    if not SUMMARY.exists():
        return None
    summary = Summary.read(SUMMARY)
    number = summary.promotion.version
    if number is None:
        return None
    with connect() as connection:
        registry = Registry(connection)
        try:
            version = registry.version(number)
        except UsageError:
            return f"version {number} is no longer in the registry"
        if (
            version.tags.get(tag.DATA_HASH) != summary.data.hash
            or version.tags.get(tag.PARAMS_HASH) != summary.params_hash
        ):
            return f"version {number} of the registry comes from another run"
    return None


def update_state() -> str | None:
    """Count a loss in artifacts/registry.json, and say what was lost; None if nothing was.

    A store that cannot be reached counts as no loss: training needs none, and `register` will say so when it is due.
    """
    state = RegistryState.read(REGISTRY) if REGISTRY.exists() else RegistryState(losses=0)
    try:
        loss = find_loss()
    except SensorproofError as error:
        state.write(REGISTRY)
        return f"not compared with the registry: {error}"
    RegistryState(losses=state.losses + (loss is not None)).write(REGISTRY)
    return loss
