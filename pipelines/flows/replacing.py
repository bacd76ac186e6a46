"""End the retraining that is under way, so that one on newer data takes its place."""

from typing import Any

from prefect import State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import StateType

_UNDER_WAY = ("Running", "Pending", "Retrying", "AwaitingRetry", "AwaitingConcurrencySlot")


def replace_older(deployment: str, key: str) -> list[str]:
    """Cancel the runs of a deployment that run or wait for their turn, and return their names.

    The worker ends their processes, and DVC's with them. Results and checkpoints stay where they are. The newer run
    starts when they have ended: until then they hold the deployment's one slot.

    Args:
        deployment: flow and deployment, as `retraining/nightly`.
        key: a run with this idempotency key is the very one that is asked for, and goes on.
    """
    flow, name = deployment.split("/")
    with get_client(sync_client=True) as client:
        older: list[Any] = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=list(_UNDER_WAY)))),
        )
        older = [run for run in older if run.idempotency_key != key]
        for run in older:
            waits = run.state_type == StateType.SCHEDULED
            kind = StateType.CANCELLED if waits else StateType.CANCELLING
            state: State[Any] = State(type=kind, message="replaced by a run on newer data")
            client.set_flow_run_state(run.id, state)
    return [run.name for run in older]
