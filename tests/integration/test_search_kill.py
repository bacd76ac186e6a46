"""A search whose workers are killed, and whose database goes away: no trial is lost, and none is counted twice."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from helpers.search import search_settings, write_frames
from helpers.search_worker import PACE, Job, score, start
from helpers.servers import Postgres, postgres_cluster
from sensorproof.adapters.optuna import Source, run_search
from sensorproof.adapters.optuna_storage import open_storage
from sensorproof.adapters.optuna_study import SearchStudy
from sensorproof.documents import ArmSettings, SearchResult
from sensorproof.searching.tasks import Task

SEARCH = {"trials": 3, "seeds": [0, 1], "close": 100.0}
POINTS = [k + (0.5 if k % 2 else 0.0) for k in range(1, 60, 3)]
"""20 of the writes of a worker, half of them before, half of them after the write."""


def check(source: Source, search: dict[str, object]) -> SearchResult:
    """Every trial has ended once, with the score that its settings have; another process finishes the study before."""
    settings = search_settings(**search)
    last = start(Job(source, search, 0.02, source.prepared / "last"))
    last.join(120)
    assert last.exitcode == 0
    result, _ = run_search(source, settings, [({"strength.prediction": 0.1}, "params.yaml")], lambda _: None, PACE)
    assert [trial.number for trial in result.trials] == list(range(settings.search.trials or 0))
    assert result.trials[0].origin == "params.yaml"
    for trial in result.trials:
        assert trial.outcome in {"complete", "pruned"}
        if trial.outcome == "complete":
            own = ArmSettings(regularizer=trial.regularizer, class_balance=0.5, learning_rate=0.01)
            assert trial.full == pytest.approx(sum(score(own, seed)[0] for seed in trial.seeds) / len(trial.seeds))
    ended = [trial for trial in result.trials if trial.outcome == "complete"]
    assert len({trial.seeds for trial in ended}) == 1
    study = optuna.load_study(study_name=result.study, storage=open_storage(source.storage, source.journal))
    board = SearchStudy(study, settings).board()
    expected = {Task(trial.number, 0) for trial in result.trials} | {Task(t.number, s) for t in ended for s in t.seeds}
    assert set(board.results()) == expected
    assert not any(own.state == "running" for own in board.attempts)
    return result


def make_source(tmp_path: Path, storage: str | None) -> Source:
    write_frames(tmp_path / "prepared")
    return Source(tmp_path / "prepared", None, tmp_path / "studies/journal.log", storage)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_write_to_the_journal(tmp_path: Path, point: float) -> None:
    source = make_source(tmp_path, None)
    process = start(Job(source, SEARCH, 0.02, tmp_path / "log", death=point))
    process.join(60)
    assert process.exitcode in {0, -9}
    check(source, SEARCH)


@pytest.mark.parametrize("point", POINTS[::2])
def test_a_worker_killed_at_a_write_to_postgres(postgres: Postgres, tmp_path: Path, point: float) -> None:
    source = make_source(tmp_path, postgres.database(f"kill-{str(point).replace('.', '-')}"))
    process = start(Job(source, SEARCH, 0.02, tmp_path / "log", death=point))
    process.join(60)
    assert process.exitcode in {0, -9}
    check(source, SEARCH)


@pytest.mark.parametrize("where", ["journal", "postgres"])
def test_workers_killed_at_random_moments(request: pytest.FixtureRequest, tmp_path: Path, where: str) -> None:
    """Two of three workers are always at work; every 0.4 s one of them is killed, 12 times, and another one comes."""
    storage = request.getfixturevalue("postgres").database("random") if where == "postgres" else None
    source = make_source(tmp_path, storage)
    search = SEARCH | {"trials": 16, "pruning": {"first": 0.25}}
    rng = random.Random(0)
    jobs = [Job(source, search, 0.4, tmp_path / "log", joins=False) for _ in range(3)]
    first = start(jobs[0])
    wait_for_study(source)
    processes = [first, *(start(Job(source, search, 0.4, tmp_path / "log", joins=True)) for _ in range(2))]
    kills = 0
    while kills < 12:
        time.sleep(0.4)
        place = rng.randrange(len(processes))
        if processes[place].is_alive():
            processes[place].kill()
            processes[place].join()
            kills += 1
        processes[place] = start(Job(source, search, 0.4, tmp_path / "log", joins=True))
    for process in processes:
        process.join(120)
    result = check(source, search)
    attempts = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    strengths = {str(trial.regularizer.strength) for trial in result.trials if trial.outcome == "complete"}
    assert strengths <= {strength for strength, _ in attempts}


def test_a_database_that_is_away_for_a_while(tmp_path: Path) -> None:
    """PostgreSQL is stopped in the middle for 20 s, several times as long as a worker may be silent."""
    with postgres_cluster() as (server, run):
        with run():
            source = make_source(tmp_path, server.database("search"))
            search = SEARCH | {"trials": 8, "pruning": {"first": 1.0}}
            first = start(Job(source, search, 3.0, tmp_path / "log"))
            wait_for_study(source)
            processes = [first, start(Job(source, search, 3.0, tmp_path / "log", joins=True))]
            wait_for_running(source, 2)
        time.sleep(20)
        assert all(process.is_alive() for process in processes)
        with run():
            for process in processes:
                process.join(120)
            assert [process.exitcode for process in processes] == [0, 0]
            check(source, search)


def wait_for_study(source: Source) -> None:
    """Wait until a study can be joined."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        summaries: Sequence[optuna.study.StudySummary] = []
        if source.storage or source.journal.exists():
            summaries = optuna.get_all_study_summaries(open_storage(source.storage, source.journal))
        if any("ready" in summary.user_attrs for summary in summaries):
            return
        time.sleep(0.1)
    raise AssertionError("no study was made")


def wait_for_running(source: Source, number: int) -> None:
    """Wait until so many workers train at the same time."""
    study = optuna.load_study(study_name="search-1", storage=open_storage(source.storage, source.journal))
    deadline = time.monotonic() + 60
    while sum(trial.state == optuna.trial.TrialState.RUNNING for trial in study.get_trials()) < number:
        assert time.monotonic() < deadline
        time.sleep(0.05)
