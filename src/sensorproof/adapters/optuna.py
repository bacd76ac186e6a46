"""Search with Optuna: find or make the study, share it among workers, and choose."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import optuna
import torch
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage

from sensorproof.adapters.optuna_storage import hide_password, open_storage, patiently, presence
from sensorproof.adapters.optuna_study import SearchStudy
from sensorproof.adapters.optuna_worker import Pace, Worker
from sensorproof.artifacts import PREPARED, QUARANTINED, STUDIES
from sensorproof.documents.search import SearchResult, Values
from sensorproof.errors import UsageError
from sensorproof.hashing import hash_json
from sensorproof.parallel import end_with_parent
from sensorproof.searching.data import SearchData, open_folds
from sensorproof.searching.results import conclude, gather_trials
from sensorproof.searching.space import contains, searched_arm
from sensorproof.settings import Settings
from sensorproof.settings.data import check_sensors
from sensorproof.training.loop import choose_device

STORAGE = "SENSORPROOF_SEARCH_STORAGE"
"""Environment variable with the address of a database; it comes before search.storage, and may hold a password."""
_FIT = ("schema", "data", "settings")
"""Notes on a study: hashes of what all its trials must have in common."""
_READY, _FINISHED, _CHOSEN = "ready", "finished", "chosen"
LIMITS = {
    "min_gain_baseline", "max_loss_full", "min_worst", "max_loss_class", "max_loss_site", "max_loss_condition",
    "max_loss_silent", "max_false_alarms", "min_group_frames",
}  # fmt: skip
"""What a trial's violations depend on, in the section `promotion`."""
_MOST_EARLIER = 3
"""So many earlier studies on the same schema give their choice to try."""
_WHAT = {
    "schema": "other sensors or classes",
    "data": "other data (`dvc pull`, or remove what is new)",
    "settings": "other settings (take the params.yaml of its machine)",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """The data and where the study is kept.

    Args:
        prepared: the folder of stage prepare.
        quarantined: see `PreparedDataset`.
        journal: the file for studies of this machine.
        storage: address of a database instead, or None.
    """

    prepared: Path
    quarantined: Path | None
    journal: Path
    storage: str | None = None

    @classmethod
    def of_project(cls, storage: str | None) -> "Source":
        """Return the project's own data and journal, or the database whose address is in the environment or given."""
        return cls(PREPARED, QUARANTINED, STUDIES, os.environ.get(STORAGE) or storage)


def run_search(
    source: Source, settings: Settings, first: Sequence[tuple[Values, str]] = (), say: Say = print, pace: Pace = Pace()
) -> tuple[SearchResult, Callable[[], None]]:
    """Search, or go on with the search that was interrupted on the same data with the same settings.

    Args:
        source: the data and the storage.
        settings: space, budget, rule.
        first: points to try first, each with where it comes from.
        say: prints one line.
        pace: see `Pace`.

    Returns:
        The result, and what to call once it is written: the next search then starts over.

    Raises:
        SensorproofError: no trial ended with a score, or data or storage cannot be used.
    """
    folds = _open(source, settings)
    storage = open_storage(source.storage, source.journal)
    notes = _fit_notes(folds[0], settings)
    study, is_new = _find_or_create(storage, notes)
    own = SearchStudy(study, settings)
    if is_new:
        for values, origin in [*first, *_earlier_choices(storage, notes["schema"], settings)]:
            if contains(settings.search.space, values):
                own.enqueue(values, origin)
        own.note(_READY, True)
    worker = Worker(own, folds, settings, say, pace)
    with _in_use(source) as alone:
        if alone:
            worker.sweep()
        with _helpers(source, settings, study.study_name, pace):
            board = worker.work()
    reference = worker.reference()
    trials = gather_trials(board, reference, settings)
    sites = [data.validation_sites for data in folds]
    result = conclude(study.study_name, trials, reference, sites, own.importance(), settings)
    chosen = result.chosen_trial
    assert chosen is not None

    def close() -> None:
        own.note(_CHOSEN, chosen.values)
        own.note(_FINISHED, True)

    return result, close


def join_search(source: Source, settings: Settings, name: str | None, say: Say = print, pace: Pace = Pace()) -> str:
    """Work on a study that another process has started, until it is done; return its name.

    Args:
        source: the same data as there, and the storage.
        settings: the same as there.
        name: of the study, or None for the newest that is not finished.
        say: prints one line.
        pace: see `Pace`.

    Raises:
        UsageError: there is no such study, or it is of other data or settings.
    """
    folds = _open(source, settings)
    storage = open_storage(source.storage, source.journal)
    study = _find(storage, name, _fit_notes(folds[0], settings), source)
    say(f"{study.study_name}: joined")
    with _in_use(source) as alone:
        worker = Worker(SearchStudy(study, settings), folds, settings, say, pace)
        if alone:
            worker.sweep()
        worker.work()
    return str(study.study_name)


def _open(source: Source, settings: Settings) -> list[SearchData]:
    choose_device(settings.train.device)  # an error of the first trial would be taken for one of its settings
    folds = open_folds(source.prepared, source.quarantined, settings.search.folds)
    check_sensors("search.space.standardize", settings.search.space.standardize or {}, folds[0].sensors)
    return folds


def _fit_notes(data: SearchData, settings: Settings) -> dict[str, str]:
    """Return the hashes of all that the trials of a study have in common."""
    search = settings.search
    shared = [
        searched_arm(settings),
        settings.model.model_dump(),
        settings.train.model_dump(exclude={"arms", "seeds", "checkpoint_every"}),
        settings.regularizer.model_dump(),
        search.model_dump(
            include={"steps", "space", "folds", "seeds", "close", "choice", "pruning", "silent_failures"}
        ),
        settings.monitoring.model_dump(),
        settings.promotion.model_dump(include=LIMITS),
    ]
    return {"schema": data.schema, "data": data.digest, "settings": hash_json(shared)}


def _find_or_create(storage: BaseStorage, notes: dict[str, str]) -> tuple[optuna.Study, bool]:
    """Return the unfinished study with these notes, or a new one; and whether it is new."""
    for summary in _unfinished(storage):
        if all(summary.user_attrs.get(key) == value for key, value in notes.items()):
            return optuna.load_study(study_name=summary.study_name, storage=storage), False
    taken = set(optuna.get_all_study_names(storage))
    number = 1
    while True:
        name = f"search-{number}"
        number += 1
        if name in taken:
            continue
        try:
            study = optuna.create_study(study_name=name, storage=storage, directions=["maximize", "maximize"])
        except DuplicatedStudyError:
            continue
        study.set_metric_names(["full", "mean"])
        for key, value in notes.items():
            study.set_user_attr(key, value)
        return study, True


def _unfinished(storage: BaseStorage) -> list[optuna.study.StudySummary]:
    """Return the summaries of the studies that are set up and have no result yet, the newest first."""
    summaries = patiently(lambda: optuna.get_all_study_summaries(storage))
    return [each for each in reversed(summaries) if _READY in each.user_attrs and _FINISHED not in each.user_attrs]


def _find(storage: BaseStorage, name: str | None, notes: dict[str, str], source: Source) -> optuna.Study:
    """Return the study to join, once its data and settings are found to be the worker's own."""
    where = hide_password(source.storage) if source.storage else str(source.journal)
    waiting = [each for each in _unfinished(storage) if name in (None, each.study_name)]
    if not waiting:
        fault = f"has no study {name} to join" if name else "has no study to join"
        raise UsageError(where, f"{fault}, or it is finished", "start the search first: `dvc repro search`")
    faults = {each.study_name: [k for k in _FIT if each.user_attrs.get(k) != notes[k]] for each in waiting}
    fitting = next((study for study, wrong in faults.items() if not wrong), None)
    if fitting is None:
        study, wrong = next(iter(faults.items()))
        raise UsageError(where, f"{study} is of {_WHAT[wrong[0]]}", "a worker needs the same data and settings")
    return optuna.load_study(study_name=fitting, storage=storage)


def _earlier_choices(storage: BaseStorage, schema: str, settings: Settings) -> Iterator[tuple[Values, str]]:
    """Yield what the latest finished studies with the same sensors and classes have chosen."""
    if "studies" not in settings.search.warm_start:
        return
    summaries = optuna.get_all_study_summaries(storage)
    fitting = [own for own in summaries if own.user_attrs.get("schema") == schema and _CHOSEN in own.user_attrs]
    for summary in fitting[::-1][:_MOST_EARLIER]:
        yield summary.user_attrs[_CHOSEN], f"study {summary.study_name}"


@contextmanager
def _in_use(source: Source) -> Iterator[bool]:
    """Yield whether no other worker can be at work: a database is never known to be unused."""
    with nullcontext(False) if source.storage else presence(source.journal) as alone:
        yield alone


@contextmanager
def _helpers(source: Source, settings: Settings, name: str, pace: Pace) -> Iterator[None]:
    """Run the further workers of this machine, which share its cores with this process."""
    workers = settings.search.workers
    threads = torch.get_num_threads()
    share = max(1, threads // workers)
    context = get_context("spawn")
    arguments = (source, settings, name, share, pace)
    processes: list[BaseProcess] = [
        context.Process(target=_help, args=arguments, daemon=True) for _ in range(workers - 1)
    ]
    if processes:
        torch.set_num_threads(share)
    for process in processes:
        process.start()
    try:
        yield
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.kill()
        torch.set_num_threads(threads)


def _help(source: Source, settings: Settings, name: str, threads: int, pace: Pace) -> None:
    """Be a further worker; end with the process that started it."""
    from sensorproof.console import report_errors

    torch.set_num_threads(threads)
    end_with_parent()

    @report_errors
    def work() -> None:
        with suppress(KeyboardInterrupt):  # the first process says so
            join_search(source, settings, name, _print_now, pace)

    work()


def _print_now(line: str) -> None:
    print(line, flush=True)
