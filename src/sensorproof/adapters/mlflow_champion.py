"""The search behind the present champion: a start for the next search, and for fine-tuning."""

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import Connection, connect
from sensorproof.adapters.mlflow_runs import fetch_json
from sensorproof.documents.search import SearchResult, Values
from sensorproof.errors import SensorproofError


def champion_choice() -> tuple[Values, str] | None:
    """Return the point that the champion's search had chosen, and where it comes from; None if there is none.

    Raises:
        SensorproofError: the tracking store cannot be used.
    """
    try:
        with connect(create=False) as connection:
            number, result = _champion_number(connection), champion_search(connection)
    except SensorproofError as error:
        if error.where == "mlflow.db":  # nothing was registered yet
            return None
        raise
    if result is None:
        return None
    chosen = result.chosen_trial
    return None if chosen is None else (chosen.values, f"champion version {number}")


def champion_search(connection: Connection) -> SearchResult | None:
    """Return the search behind the present champion; None without a champion, or if its settings were not searched."""
    number = _champion_number(connection)
    if number is None:
        return None
    parent = connection.client.get_model_version(tag.MODEL, str(number)).tags.get(tag.RUN_PARENT, "")
    query = f"tags.`{tag.PARENT}` = '{parent}' and tags.`{tag.KIND}` = '{tag.SEARCH}'"
    runs = connection.client.search_runs([connection.experiment_id], query, max_results=1)
    if not runs:
        return None
    return SearchResult.parse(fetch_json(connection, runs[0].info.run_id, "trials.json"), "MLflow")


def _champion_number(connection: Connection) -> int | None:
    """Return the version that is champion."""
    models = connection.client.search_registered_models(f"name = '{tag.MODEL}'")
    number = models[0].aliases.get(tag.CHAMPION) if models else None
    return None if number is None else int(number)
