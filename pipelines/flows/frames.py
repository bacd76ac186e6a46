"""Flow `frames`: measure and prepare frames as mapped tasks, on a Dask cluster if params.yaml says so.

Each task is a shard whose result has the hash of all that it depends on as its name. The stages `validate` and
`prepare` find the results and join them; a shard that is missing they make themselves. So this flow may be lost or
left out, and nothing but time is. The folder artifacts/cache must be the same for all machines, as must be the data.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
from prefect import State, flow, task
from prefect.states import Completed

from sensorproof.alignment.shards import ShardTask
from sensorproof.alignment.shards import run_task as measure_shard
from sensorproof.artifacts import PREPARED_SHARDS
from sensorproof.data.prepare import preparing_tasks
from sensorproof.data.prepare_shards import PrepareTask
from sensorproof.data.prepare_shards import run_task as prepare_shard
from sensorproof.errors import SensorproofError
from sensorproof.settings import Settings, load_settings
from sensorproof.validation import measuring_tasks

# The workers of a cluster have the package, but not this folder.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@task(task_run_name="measure {shard.start}-{shard.stop} of {shard.root.name}", retries=2, retry_delay_seconds=5)
def measure(shard: ShardTask) -> None:
    """Measure the frames of one shard."""
    measure_shard(shard)


@task(task_run_name="prepare {shard.start}-{shard.stop} of {shard.root.name}", retries=2, retry_delay_seconds=5)
def prepare(shard: PrepareTask) -> None:
    """Prepare the frames of one shard."""
    prepare_shard(shard)


@flow(name="frames")
def frames(batches: list[str], raw: bool) -> State[Any]:
    """Make the results of all shards that are missing; what fails here is left to the stages.

    Args:
        batches: folders of batches to measure.
        raw: prepare the raw data as well.
    """
    settings = load_settings()
    measuring, preparing = missing_shards(batches, settings, raw)
    futures = [*(measure.map(measuring) if measuring else ()), *(prepare.map(preparing) if preparing else ())]
    for future in futures:
        future.wait()
    failed = sum(not future.state.is_completed() for future in futures)
    left = f"; {failed} are left to the stages" if failed else ""
    return Completed(message=f"{len(measuring)} shards to measure, {len(preparing)} to prepare{left}")


def missing_shards(batches: Sequence[str], settings: Settings, raw: bool) -> tuple[list[ShardTask], list[PrepareTask]]:
    """Return the shards that are not there yet; a batch that cannot be read is left to the stages, which say why."""
    measuring: list[ShardTask] = []
    for batch in batches:
        with suppress(SensorproofError):
            measuring += measuring_tasks(Path(batch), settings)
    preparing: list[PrepareTask] = []
    if raw:
        with suppress(SensorproofError):
            preparing = preparing_tasks(settings.data, PREPARED_SHARDS.resolve())
    return measuring, preparing


def spread(batches: Sequence[Path], settings: Settings, *, raw: bool = False) -> State[Any] | None:
    """Measure batches on the engine that params.yaml names; None if that is this machine's own processes.

    Args:
        batches: their folders.
        settings: all of params.yaml.
        raw: prepare the raw data as well.
    """
    if settings.compute.engine == "local":
        return None
    names = [str(batch.resolve()) for batch in batches]
    if not any(missing_shards(names, settings, raw)):
        return Completed(message="every shard is there")
    return frames.with_options(task_runner=task_runner(settings))(names, raw, return_state=True)


def task_runner(settings: Settings) -> Any:
    """Return the runner of the engine: of a running cluster, or of one for this flow alone on the loopback address."""
    from prefect_dask.task_runners import DaskTaskRunner

    from sensorproof.parallel import count_workers

    compute = settings.compute
    if compute.address is not None:
        return DaskTaskRunner(address=compute.address)
    workers = {"n_workers": count_workers(compute.workers), "threads_per_worker": 1, "processes": True}
    return DaskTaskRunner(cluster_kwargs={**workers, "host": "127.0.0.1", "dashboard_address": None})
