"""One process at a time, and no lock outlives its holder."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensorproof.locks import BusyError, locked

HOLD = """
import sys, time
from pathlib import Path
from sensorproof.locks import locked
with locked("work", Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_holder_is_told_who_is_first(tmp_path: Path, other: "subprocess.Popen[str]") -> None:
    with pytest.raises(BusyError, match=rf"work: is under way already \(process {other.pid} since "):
        locked("work", tmp_path, wait=False).__enter__()
    with locked("something else", tmp_path, wait=False):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path: Path, other: "subprocess.Popen[str]") -> None:
    other.kill()
    other.wait()
    with locked("work", tmp_path, wait=False):
        pass


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked("work", tmp_path):
        _ = 1 / 0
    with locked("work", tmp_path, wait=False):
        pass
