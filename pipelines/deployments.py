"""The deployments of the flows: what runs when, and how many at once. `python pipelines/deployments.py` registers them.

Runs happen in the folder where the worker was started, which is the project: no path of a machine is kept anywhere.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectAlreadyExists
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from notifications import apply
from sensorproof.console import report_errors
from sensorproof.settings import ScheduleSettings, Settings, load_settings

POOL = "sensorproof"
_HERE = [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]


@dataclass(frozen=True)
class Deployment:
    """One flow with its schedule; a second run waits for the first one or is cancelled.

    Without a schedule it runs when asked to, and any number of runs at the same time.
    """

    name: str
    entrypoint: str
    description: str
    schedule: CronSchedule | IntervalSchedule | None = None
    second_run: ConcurrencyLimitStrategy | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


def deployments(settings: ScheduleSettings) -> list[Deployment]:
    """Return all deployments."""
    return [
        Deployment(
            "nightly",
            "pipelines/flows/retraining.py:retraining",
            "Reproduce every stage that is out of date, if a retraining is due",
            CronSchedule(cron=settings.retraining, timezone=settings.timezone),
            ConcurrencyLimitStrategy.ENQUEUE,
            {"when_due": True},
        ),
        Deployment(
            "polling",
            "pipelines/flows/field_data.py:field_data",
            "Ingest what is complete in the inbox, then start a retraining if one is due",
            IntervalSchedule(interval=timedelta(seconds=settings.polling_s)),
            ConcurrencyLimitStrategy.CANCEL_NEW,
        ),
        Deployment(
            "search-worker",
            "pipelines/flows/search_worker.py:search_worker",
            "Help the search that is under way; start as many runs as there should be workers",
        ),
    ]


def register(settings: ScheduleSettings) -> Iterator[str]:
    """Register every deployment at the server that PREFECT_API_URL names, and yield their names."""
    with get_client(sync_client=True) as client:
        with contextlib.suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=_process_template()))
        for each in deployments(settings):
            flow: Any = load_flow_from_entrypoint(each.entrypoint)
            client.create_deployment(
                flow_id=client.create_flow_from_name(flow.name),
                name=each.name,
                description=each.description,
                entrypoint=each.entrypoint,
                path=".",
                pull_steps=_HERE,
                tags=[POOL],
                parameters=each.parameters,
                schedules=[DeploymentScheduleCreate(schedule=each.schedule, active=True)] if each.schedule else [],
                concurrency_limit=1 if each.second_run else None,
                concurrency_options=ConcurrencyOptions(collision_strategy=each.second_run) if each.second_run else None,
                work_pool_name=POOL,
                job_variables={"working_dir": "."},
                parameter_openapi_schema=parameter_schema(flow).model_dump(),
            )
            yield f"{flow.name}/{each.name}"


def _process_template() -> dict[str, Any]:
    """Return what a process work pool is made with."""
    from prefect.workers.process import ProcessWorker

    return ProcessWorker.get_default_base_job_template()


def serve(settings: Settings) -> None:
    """Register all deployments and notifications at the server, and print their names."""
    for name in register(settings.schedule):
        print(f"deployed {name}")
    for name in apply(settings.notifications):
        print(f"notifies of {name}")


@report_errors
def main() -> None:
    """Register all deployments and notifications."""
    serve(load_settings())


if __name__ == "__main__":
    main()
