"""Flow `search_worker`: a further worker for the search that is under way; each run of the deployment is one.

Runs may be on any machine with the same data and settings that reaches the database of the search.
"""

from prefect import State, flow, get_run_logger
from prefect.states import Completed, Failed

from sensorproof.errors import SensorproofError
from sensorproof.settings import load_settings


@flow(name="search-worker", log_prints=True)
def search_worker(study: str | None = None) -> State[None]:
    """Work on a study until it is done; without a name, on the newest that is not finished."""
    from sensorproof.adapters.optuna import Source, join_search

    settings = load_settings()
    try:
        name = join_search(Source.of_project(settings.search.storage), settings, study, get_run_logger().info)
    except SensorproofError as error:
        return Failed(message=str(error))
    return Completed(message=f"{name}: nothing left to do")


if __name__ == "__main__":
    search_worker()
