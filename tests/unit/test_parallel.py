"""Tasks on several processes: in order, few in flight, and faults as they were raised."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sensorproof import parallel
from sensorproof.errors import BatchError, SensorproofError
from sensorproof.parallel import count_workers, map_in_order, run_apart


def square(number: int) -> tuple[int, int]:
    if number < 0:
        raise BatchError("frame", "is negative", "make it positive")
    return number**2, os.getpid()


def test_results_are_in_order_and_come_from_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_FEW_TASKS", 0)
    told: list[tuple[int, int]] = []
    results = list(map_in_order(square, range(12), 2, lambda done, total: told.append((done, total))))
    assert [value for value, _ in results] == [k**2 for k in range(12)]
    assert os.getpid() not in {process for _, process in results}
    assert told == [(done, 12) for done in range(13)]
    with pytest.raises(BatchError, match="frame: is negative; make it positive"):
        list(map_in_order(square, [1, -1, 2, 3, 4, 5], 2))


def which(_: int) -> tuple[int, int]:
    time.sleep(0.1)
    return os.getpid(), int(os.environ["LOCAL_RANK"])


def test_each_process_is_told_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    told = set(map_in_order(which, range(8), 2))
    assert sorted(number for _, number in told) == list(range(len(told)))
    assert len({process for process, _ in told}) == len(told)
    assert "LOCAL_RANK" not in os.environ


def test_few_brief_tasks_are_not_worth_a_process() -> None:
    assert {process for _, process in map_in_order(square, range(3), 4)} == {os.getpid()}


@pytest.mark.parametrize(("tasks", "done", "seconds", "brief"), [(5, 0, 0, True), (5, 1, 9, False), (6, 0, 0, False)])
def test_how_brief_tasks_are_is_seen_from_the_first(tasks: int, done: int, seconds: float, brief: bool) -> None:
    assert parallel._are_brief(tasks, done, seconds) == brief


def die(number: int) -> None:
    os._exit(9)


def test_a_killed_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_FEW_TASKS", 0)
    with pytest.raises(
        SensorproofError, match=r"a process ended before .* fewer workers \(compute\.workers or --workers\)"
    ):
        list(map_in_order(die, range(6), 2))


SCRIPT = """\
from sensorproof import parallel
from sensorproof.parallel import map_in_order, run_apart

print("begun")
parallel._FEW_TASKS = 0
print(list(map_in_order(abs, [-1, 2, -3], 2)), run_apart(abs, -4, limit_s=60), __file__)
"""


def test_a_script_without_a_guard_does_not_begin_again_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["begun", f"[1, 2, 3] 4 {script}"], done.stderr


def write_and_wait(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(600)


def test_work_apart_is_ended_after_its_time(tmp_path: Path) -> None:
    assert run_apart(square, 3, limit_s=60)[0] == 9
    with pytest.raises(BatchError, match="is negative"):
        run_apart(square, -1, limit_s=60)
    with pytest.raises(SensorproofError, match="was killed"):
        run_apart(die, 1, limit_s=60)
    path = tmp_path / "pid"
    with pytest.raises(SensorproofError, match=r"was ended after 0\.00167 hours"):
        run_apart(write_and_wait, path, limit_s=6)
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text()), 0)


def test_workers_are_as_many_as_wanted_or_as_there_are_processors() -> None:
    assert count_workers(3) == 3
    assert count_workers(0) >= 1
