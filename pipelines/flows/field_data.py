"""Flow `field_data`: ingest what is complete in data/inbox or in a bucket, then start a retraining if one is due.

Run it by hand or as the deployment `field-data/polling`. A refused batch stays in the inbox with a note beside it and
fails the run once; the other batches are ingested all the same. Each batch is ingested by a process of its own, which
is ended after a time: a stuck one does not block the others.
"""

from pathlib import Path
from typing import Any

from flow_events import send
from frames import spread
from prefect import State, flow, get_run_logger, runtime, task
from prefect.client.schemas import TaskRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from replacing import replace_older
from retraining import REFUSED, check_server, report, retraining

from sensorproof.adapters import dvc
from sensorproof.console import report_errors
from sensorproof.documents.field import RetrainingDecision
from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.field.follow import describe, follow_field
from sensorproof.field.history import unrecorded
from sensorproof.hashing import hash_json
from sensorproof.ingestion import (
    IngestResult,
    ingest_at_once,
    is_interrupted,
    publish,
    recover_interrupted,
    unpublished,
)
from sensorproof.ingestion.inbox import forget_rejection, note_rejection, scan
from sensorproof.ingestion.remote_inbox import fetch_new
from sensorproof.locks import BusyError
from sensorproof.parallel import run_apart
from sensorproof.settings import Settings, load_settings

QUIET_PERIOD_S = 60.0
"""Seconds without a change after which a batch counts as complete."""
RETRAINING = "retraining/nightly"
BUSY = "Busy"
"""Name of the completed state of a batch that another run ingests."""
AT_ONCE = 4
"""Batches that are ingested at the same time: one that waits for a slow disk leaves the others their turn."""
RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=AT_ONCE)


def may_pass(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Retry after a full disk or a locked repository, but not a refused batch."""
    return state.name != REFUSED


@task(task_run_name="ingest {folder.name}", retries=1, retry_delay_seconds=30, retry_condition_fn=may_pass)
def ingest(folder: Path) -> Any:
    """Ingest one batch; note a refusal beside it."""
    settings, logger = load_settings(), get_run_logger()
    try:
        result = run_apart(ingest_at_once, folder, settings, limit_s=3600 * settings.ingestion.max_hours)
    except BusyError as error:
        return Completed(name=BUSY, message=str(error))
    except RejectedError as error:
        note = note_rejection(folder, str(error), settings)
        send("refused", f"batch {folder.name}", str(error))
        return Failed(name=REFUSED, message=f"{error} (noted in {note})")
    except SensorproofError as error:
        return Failed(message=str(error))
    forget_rejection(folder)
    if result.quarantined:
        text = f"{result.quarantined} frames of {result.name} are in quarantine, {result.frames} were ingested"
        send("quarantined", f"batch {result.name}", text)
    for warning in result.warnings:
        logger.warning(warning)
    for relative in result.left:
        logger.warning("%s appeared after the copy and stays there", folder / relative)
    return result


@task(task_run_name="push {result.name}", retries=3, retry_delay_seconds=[10, 60, 300])
def push(result: IngestResult) -> Any:
    """Push a batch to the DVC remote, if there is one; retry, because a remote may be unreachable for a while."""
    try:
        return publish(result, load_settings())
    except SensorproofError as error:
        return Failed(message=f"{result.name} is ingested but not pushed: {error}")


@task(task_run_name="record drift")
def follow() -> Any:
    """Record drift, confidence and alarms of each new batch; decide whether to retrain."""
    settings = load_settings()
    try:
        result = run_apart(follow_field, settings, limit_s=3600 * settings.ingestion.max_hours)
    except SensorproofError as error:
        return Failed(message=f"drift is not recorded yet: {error}")
    for record in result.new:
        get_run_logger().info(describe(record))
    return result.decision


@flow(name="field-data", log_prints=True, task_runner=RUNNER)
def field_data(quiet_period_s: float = QUIET_PERIOD_S, retrain: bool = True) -> State[Any]:
    """Ingest every complete batch of the inbox, push it, record its drift, and start a retraining if one is due.

    A retraining is on old and new data. The result has the decision and its reasons.

    Args:
        quiet_period_s: seconds without a change after which a batch counts as complete.
        retrain: start the flow `retraining` if something was ingested and `schedule.retrain_when` asks for it.
    """
    try:
        settings = load_settings()
        ingested = recover_interrupted(settings)
        fetched = fetch_new(settings, quiet_period_s)
        inbox = scan(settings, quiet_period_s, fetched.names)
        spread([batch for batch in inbox.ready if (batch / "frames.csv").is_file()], settings)
    except SensorproofError as error:
        return Failed(message=str(error))
    futures = [ingest.submit(batch) for batch in inbox.ready]
    for future in futures:
        future.wait()
    states = [future.state for future in futures]
    ingested += [state.result() for state in states if state.is_completed() and state.name != BUSY]
    faults: list[State[Any]] = [Failed(message=str(error)) for error in fetched.faults]
    faults += [state for state in states if not state.is_completed()]
    names = {result.name for result in ingested}
    waiting = [result for result in unpublished(settings) if result.name not in names] if dvc.has_remote() else []
    pushed = [push(result, return_state=True) for result in (*ingested, *waiting)]
    faults += [state for state in pushed if not state.is_completed()]
    done = [f"{r.name} ingested ({r.frames} frames, {r.quarantined} quarantined)" for r in ingested]
    done += [str(state.message) for state in states if state.name == BUSY]
    done += [f"{name} still incomplete" for name in (*(each.name for each in inbox.incomplete), *fetched.incomplete)]
    done += [f"{batch.name} refused before" for batch in inbox.refused]
    done += [f"{path.name} is neither a folder nor an archive" for path in inbox.ignored]
    decision: RetrainingDecision | None = None
    if ingested or unrecorded(settings):
        followed = follow(return_state=True)
        faults += [] if followed.is_completed() else [followed]
        decision = followed.result() if followed.is_completed() else None
        print(decision.describe() if decision else "retrain: the rules could not be asked")
        done += [decision.describe()] if decision else []
    if ingested and retrain and (decision is None or decision.retrain):
        trained = hand_over(settings)
        done.append(f"retraining: {trained.message or trained.name}")
        faults += [trained] if trained.is_failed() or trained.is_crashed() else []
    if faults:
        name = REFUSED if all(state.name == REFUSED for state in faults) else "Failed"
        return Failed(name=name, message="; ".join([*(str(state.message) for state in faults), *done]))
    result = {"ingested": [r.name for r in ingested], "decision": decision.to_json() if decision else None}
    return Completed(message="; ".join(done) or f"nothing in {settings.data.inbox}", data=result)


def hand_over(settings: Settings) -> State[Any]:
    """Start a retraining: as a run of its own if this is a deployment, so that polling goes on meanwhile; else here.

    The run has the data and the parameters as its key, so two identical requests are one run. While an older run is
    under way, it waits or replaces that one, as `schedule.newer` says.
    """
    if runtime.deployment.id is None:
        return retraining(return_state=True)
    key = idempotency_key(settings)
    try:
        run: Any = run_deployment(
            RETRAINING,
            parameters={"when_due": False},
            timeout=0,
            as_subflow=False,
            idempotency_key=key,
        )
    except ObjectNotFound:
        return retraining(return_state=True)
    older = replace_older(RETRAINING, key) if settings.schedule.newer == "replace" else []
    replaced = f", which replaces {', '.join(map(repr, older))}" if older else ""
    return Completed(message=f"handed over to run {run.name!r}{replaced}")


def idempotency_key(settings: Settings) -> str:
    """Hash the versioned batches and the parameters."""
    pointers = sorted(Path(settings.data.raw).glob("*.dvc"))
    return hash_json([{pointer.stem: dvc.added_hash(pointer) for pointer in pointers}, settings.hash])


@report_errors
def main() -> None:
    """Run the flow here and now; without starting a Prefect server if there is nothing to do."""
    settings = load_settings()
    idle = settings.ingestion.s3 is None and not is_interrupted(settings) and not scan(settings, 0).ready
    if idle and not (unpublished(settings) and dvc.has_remote()) and not unrecorded(settings):
        print(f"nothing new in {settings.data.inbox}")
        return
    check_server()
    report(field_data(quiet_period_s=0, return_state=True))


if __name__ == "__main__":
    main()
