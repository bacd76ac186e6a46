"""Flow `retraining`: each stage of dvc.yaml is a task that reproduces it with DVC, in the order of the graph.

Run it with `make retrain` or as the deployment `retraining/nightly`. If nothing has changed since the last run, it says
so and does nothing, so it may be started at any time.
"""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from flow_events import send
from frames import spread
from prefect import State, flow, get_run_logger, task
from prefect.client.schemas import TaskRun
from prefect.states import Completed, Failed

from sensorproof.adapters import dvc
from sensorproof.artifacts import SUMMARY
from sensorproof.console import report_errors
from sensorproof.documents import PromotionRecord, Summary
from sensorproof.errors import EXIT_REFUSED, RejectedError, SensorproofError, UsageError
from sensorproof.field.decision import decide_retraining
from sensorproof.locks import BusyError, locked
from sensorproof.registration import find_loss
from sensorproof.settings import load_settings

LOCK = "retraining"
_SERVER_TIMEOUT_S = 5.0
REFUSED, KILLED = "Refused", "Killed"
"""Names of failed states: a batch or a candidate was refused; the stage was killed."""


class Key(NamedTuple):
    """What determines the result of a run: the hashes of the data and of the parameters."""

    data: str
    params: str

    def __str__(self) -> str:
        return f"data {self.data:.8}, params {self.params:.8}"


def was_killed(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Retry only a stage that was killed: bad input stays bad. Training continues from its checkpoint."""
    return state.name == KILLED


@task(task_run_name="{stage}", retries=2, retry_delay_seconds=[10, 60], retry_condition_fn=was_killed)
def reproduce(stage: str) -> Any:
    """Reproduce one DVC stage; log its output; return whether it ran and what it wrote."""
    logger = get_run_logger()
    try:
        ran = dvc.reproduce(stage, echo=logger.info)
    except RejectedError as error:
        return Failed(name=REFUSED, message=str(error))
    except dvc.StageKilledError as error:
        return Failed(name=KILLED, message=str(error))
    except SensorproofError as error:
        return Failed(message=str(error))
    return {"stage": stage, "ran": ran, "outputs": dvc.locked_outputs(stage)}


@flow(name="retraining", log_prints=True)
def retraining(when_due: bool = False) -> State[Any]:
    """Reproduce every stage that is out of date. If one fails, the flow fails with its line.

    Args:
        when_due: only if a rule of `schedule.retrain_when` asks for it, as every night.
    """
    try:
        with locked(LOCK, wait=False):
            decision = decide_retraining(load_settings()) if when_due else None
            if decision is not None and not decision.retrain:
                return Completed(name="NotDue", message=decision.describe(), data=decision.to_json())
            state = run_stages()
            return (
                state
                if decision is None
                else state.model_copy(update={"message": f"{state.message}; {decision.describe()}"})
            )
    except BusyError as error:
        return Completed(name="Skipped", message=str(error))
    except SensorproofError as error:
        return Failed(message=str(error))


def run_stages() -> State[Any]:
    """Run the flow's body; the caller holds the lock."""
    if is_current():
        return Completed(name="Unchanged", message=unchanged())
    settings = load_settings()
    spread(sorted(path.parent for path in Path(settings.data.raw).glob("*/batch.yaml")), settings, raw=True)
    states: dict[str, State[Any]] = {}
    for stage, before in dvc.stage_graph().items():
        states[stage] = reproduce(stage, wait_for=[states[name] for name in sorted(before)], return_state=True)
        if not states[stage].is_completed():
            if states[stage].name == REFUSED:
                send("refused", f"stage {stage}", str(states[stage].message))
            return Failed(name=states[stage].name, message=states[stage].message)
    results = {stage: state.result() for stage, state in states.items()}
    ran = [stage for stage, result in results.items() if result["ran"]]
    if "register" in ran:
        announce(Summary.read(SUMMARY).promotion)
    return Completed(message=f"{key()}: {', '.join(ran) or 'no stage'} ran{decision()}", data=results)


def announce(promotion: PromotionRecord) -> None:
    """Send the decision on the candidate as an event."""
    about = promotion.model if promotion.version is None else f"{promotion.model} version {promotion.version}"
    text = {"promoted": "is champion", "waiting": "passed all gates and waits for `sensorproof registry approve`"}
    outcome = text.get(promotion.decision, f"was refused: {'; '.join(promotion.reasons)}")
    send(promotion.decision, about, "; ".join([f"{about} {outcome}", *promotion.skipped]))


def is_current() -> bool:
    """Return whether every stage has run on the present data, parameters and code, and the registry has the result."""
    return not dvc.status() and find_loss() is None


def key() -> Key:
    """Return the hashes of the data and the parameters of the last run."""
    settings = load_settings()
    return Key(dvc.locked_hash("prepare", settings.data.raw), settings.hash)


def unchanged() -> str:
    """Say that there is nothing to do."""
    return f"nothing to do: {key()} have been trained on"


def decision() -> str:
    """Say what was decided on the candidate and what was skipped, if the pipeline has decided."""
    if not SUMMARY.exists():
        return ""
    promotion = Summary.read(SUMMARY).promotion
    version = "" if promotion.version is None else f" version {promotion.version}"
    return "; ".join(["", f"{promotion.decision}: {promotion.model}{version}", *promotion.skipped])


@report_errors
def main() -> None:
    """Run the flow here and now; without starting a Prefect server if there is nothing to do."""
    if is_current():
        print(unchanged())
        return
    check_server()
    report(retraining(return_state=True))


def check_server() -> None:
    """Check that the Prefect server that PREFECT_API_URL names answers; without that variable a flow starts its own.

    Raises:
        UsageError: it does not.
    """
    url = os.environ.get("PREFECT_API_URL", "")
    if not url:
        return
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=_SERVER_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fix = "start it with `prefect server start --host 127.0.0.1`, or unset PREFECT_API_URL"
        raise UsageError("PREFECT_API_URL", f"no Prefect server answers at {url} ({error})", fix) from error


def report(state: State[Any]) -> None:
    """Print in one line how a run ended, and exit with its code."""
    if state.is_completed():
        print(state.message)
        return
    print(f"error: {state.message}", file=sys.stderr)
    raise SystemExit(EXIT_REFUSED if state.name == REFUSED else 1)


if __name__ == "__main__":
    main()
