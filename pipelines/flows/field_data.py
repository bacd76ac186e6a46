"""Flow `field_data`: take in what is complete in data/inbox, then hand over to retraining.

Run it by hand or as the deployment `field-data/polling`. A batch that is refused stays in the inbox with a note
beside it, and fails the run once; the others are taken in all the same.
"""

from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, runtime, task
from prefect.client.schemas import TaskRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed
from retraining import REFUSED, report, retraining

from sensorproof.adapters import dvc
from sensorproof.cli.errors import report_errors
from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.files import hash_json
from sensorproof.ingestion import IngestResult, ingest_batch, is_interrupted, publish, recover_interrupted
from sensorproof.ingestion.inbox import forget_rejection, note_rejection, scan
from sensorproof.settings import Settings, load_settings

SETTLE_S = 60.0
"""Seconds for which nothing in a complete batch has changed."""
RETRAINING = "retraining/nightly"


def may_pass(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """A full disk or a locked repository is worth another try; a refused batch is not."""
    return state.name != REFUSED


@task(task_run_name="take in {folder.name}", retries=1, retry_delay_seconds=30, retry_condition_fn=may_pass)
def take(folder: Path) -> Any:
    """Take one batch in; a refusal is noted beside it."""
    settings, logger = load_settings(), get_run_logger()
    try:
        taken = ingest_batch(folder, settings, move=True)
    except RejectedError as error:
        note = note_rejection(folder, str(error), settings)
        return Failed(name=REFUSED, message=f"{error} (noted in {note})")
    except SensorproofError as error:
        return Failed(message=str(error))
    forget_rejection(folder)
    for warning in taken.warnings:
        logger.warning(warning)
    for relative in taken.left:
        logger.warning("%s came after the copy and stays where it is", folder / relative)
    return taken


@task(task_run_name="push {taken.name}", retries=3, retry_delay_seconds=[10, 60, 300])
def push(taken: IngestResult) -> Any:
    """Push a batch to the DVC remote, if there is one. A remote may be out of reach for a while: try again."""
    try:
        return publish(taken, load_settings())
    except SensorproofError as error:
        return Failed(message=f"{taken.name} is taken in but not pushed: {error}")


@flow(name="field-data", log_prints=True)
def field_data(quiet_period_s: float = SETTLE_S, retrain: bool = True) -> State[Any]:
    """Take in every complete batch of the inbox, push it, and have the model trained on old and new data.

    Args:
        settle_s: seconds for which nothing in a complete batch has changed.
        retrain: hand over to the flow retraining when something was taken in.
    """
    try:
        settings = load_settings()
        taken = recover_interrupted(settings)
        inbox = scan(settings, quiet_period_s)
    except SensorproofError as error:
        return Failed(message=str(error))
    states = [take(folder, return_state=True) for folder in inbox.ready]
    taken += [state.result() for state in states if state.is_completed()]
    faults = [state for state in states if not state.is_completed()]
    pushed = [push(each, return_state=True) for each in taken]
    faults += [state for state in pushed if not state.is_completed()]
    done = [f"{each.name} taken in ({each.frames} frames, {each.quarantined} aside)" for each in taken]
    done += [f"{folder.name} still arriving" for folder in inbox.incomplete]
    done += [f"{folder.name} refused before" for folder in inbox.refused]
    done += [f"{path.name} is no folder" for path in inbox.ignored]
    if taken and retrain:
        trained = hand_over(settings)
        done.append(f"retraining: {trained.message or trained.name}")
        faults += [trained] if trained.is_failed() or trained.is_crashed() else []
    if faults:
        name = REFUSED if all(state.name == REFUSED for state in faults) else "Failed"
        return Failed(name=name, message="; ".join([*(str(state.message) for state in faults), *done]))
    return Completed(message="; ".join(done) or f"nothing in {settings.data.inbox}")


def hand_over(settings: Settings) -> State[Any]:
    """Retrain: as a run of its own where we are a deployment, so that polling goes on meanwhile; else here.

    The run has the data and the parameters as its key: the same hand-over twice is one run.
    """
    if runtime.deployment.id is None:
        return retraining(return_state=True)
    try:
        run: Any = run_deployment(RETRAINING, timeout=0, as_subflow=False, idempotency_key=idempotency_key(settings))
    except ObjectNotFound:
        return retraining(return_state=True)
    return Completed(message=f"handed over to run {run.name!r}")


def idempotency_key(settings: Settings) -> str:
    """A hash of the versioned batches and the parameters."""
    pointers = sorted(Path(settings.data.raw).glob("*.dvc"))
    return hash_json([{pointer.stem: dvc.added_hash(pointer) for pointer in pointers}, settings.hash])


@report_errors
def main() -> None:
    """Run the flow here and now; without a Prefect server of its own where there is nothing to do."""
    settings = load_settings()
    if not is_interrupted(settings) and not scan(settings, 0).ready:
        print(f"nothing new in {settings.data.inbox}")
        return
    report(field_data(quiet_period_s=0, return_state=True))


if __name__ == "__main__":
    main()
