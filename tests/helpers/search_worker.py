"""A worker of a search in a process of its own, whose trainings are short pauses, and which can be made to die."""

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage

from helpers.search import make_scores, search_settings
from sensorproof.adapters import optuna_worker
from sensorproof.adapters.optuna import Source, join_search, run_search
from sensorproof.adapters.optuna_worker import Pace
from sensorproof.documents import ArmSettings
from sensorproof.documents.search import Check, TaskResult

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["sensorproof.adapters.optuna", "optuna.importance", "sklearn.ensemble", "psycopg2"])
PACE = Pace(beat=0.2, grace=1.5, poll=0.05)
WRITES = (
    "create_new_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "create_new_trial",
    "set_trial_param",
    "set_trial_state_values",
    "set_trial_user_attr",
    "set_trial_system_attr",
)
"""Every call by which a worker writes."""


@dataclass(frozen=True)
class Job:
    """What the process does.

    Attributes:
        source: the data and the storage.
        search: the settings that differ.
        seconds: of each training.
        log: a file to which every training that ends adds a line, `trial strength seed`.
        joins: help with the study that is there; otherwise start or resume it.
        death: the process dies before (n) or after (n + 0.5) the n-th write, counted from 1; None for never.
    """

    source: Source
    search: dict[str, Any]
    seconds: float
    log: Path
    joins: bool = False
    death: float | None = None


def start(job: Job) -> multiprocessing.Process:
    """Start the process."""
    process: Any = PROCESSES.Process(target=work, args=(job,))
    process.start()
    return process


def score(chosen: ArmSettings, seed: int) -> tuple[float, float]:
    """Scores that differ with the strength in no simple way."""
    digest = hashlib.sha256(f"{chosen.regularizer.strength:.9f} {seed}".encode()).digest()
    return 50.0 + digest[0] / 25.6, 40.0 + digest[1] / 25.6


def work(job: Job) -> None:
    """Run in the process."""
    if job.death is not None:
        die_at(job.death)

    def run(chosen: ArmSettings, seed: int, folds: Any, settings: Any, compare: Any) -> Callable[[], TaskResult]:
        def train() -> TaskResult:
            checks = [Check(steps=1, score=sum(score(chosen, seed)) / 2)] if compare else []
            time.sleep(job.seconds / 2)
            common: dict[str, Any] = {"steps": 4, "seconds": job.seconds, "checks": tuple(checks)}
            if compare and not compare(0, checks[0]):
                return TaskResult(outcome="pruned", **common)
            time.sleep(job.seconds / 2)
            with job.log.open("a") as file:
                file.write(f"{chosen.regularizer.strength} {seed}\n")
            return TaskResult(outcome="complete", scores=(make_scores(*score(chosen, seed), seed=seed),), **common)

        return train

    optuna_worker.TrialRun = run  # type: ignore[assignment,misc]
    optuna_worker.score_reference = lambda *_: (make_scores(40.0, 10.0),)
    settings = search_settings(**job.search)
    if job.joins:
        join_search(job.source, settings, None, lambda _: None, PACE)
    else:
        run_search(job.source, settings, [({"strength.prediction": 0.1}, "params.yaml")], lambda _: None, PACE)


def die_at(point: float) -> None:
    """Have the process killed by the system at one of its writes."""
    count = [0]

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            count[0] += 1
            number = count[0]
            if number == point:
                os.kill(os.getpid(), signal.SIGKILL)
            result = write(*arguments, **options)
            if number + 0.5 == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    kinds: tuple[type[BaseStorage], ...] = (JournalStorage, RDBStorage)
    for kind in kinds:
        for name in WRITES:
            setattr(kind, name, dying(getattr(kind, name)))
