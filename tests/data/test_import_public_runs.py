"""Imports of public data sets that are killed, shared by processes, or run at the same time."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from helpers.public_datasets import WRITERS, import_whole, whole
from sensorproof.data.importers import PUBLIC, import_public
from sensorproof.data.importers.public.layout import Layout
from sensorproof.data.importers.public.ledger import staging_folder
from sensorproof.locks import BusyError


@pytest.fixture
def deliver(tmp_path: Path) -> Path:
    WRITERS["deliver"](tmp_path / "source")
    return tmp_path / "source"


def test_a_killed_import_goes_on_where_it_was(deliver: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from dataclasses import replace\n"
        "from sensorproof.data.importers import PUBLIC, import_public\n"
        "def report(done, total):\n"
        "    if done == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "import_public(lambda root: replace(PUBLIC['deliver'](root), official={}), Path(sys.argv[1]),\n"
        "              Path(sys.argv[2]), copy=True, report=report)\n"
    )
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, str(script), str(deliver), str(out)], check=False, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    ledger = tmp_path / ".out.importing/checked.jsonl"
    ledger.write_text(ledger.read_text() + '{"frame_id": "half a li')
    reports: list[int] = []
    import_public(whole("deliver"), deliver, out, copy=True, report=lambda done, total: reports.append(done))
    assert reports == list(range(5, 13))
    import_public(whole("deliver"), deliver, tmp_path / "again" / "out", copy=True)
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = tmp_path / "again" / "out"
    assert files == {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert not list(tmp_path.glob(".*"))


KILLED_WITH_PROCESSES = """\
import os, signal, sys
from dataclasses import replace
from pathlib import Path

import psutil

from sensorproof.data.importers import PUBLIC, import_public

def whole(root):
    return replace(PUBLIC["deliver"](root), official={})

def report(done, total):
    if done == 2:
        Path(sys.argv[3]).write_text(" ".join(str(child.pid) for child in psutil.Process().children(recursive=True)))
        os.kill(os.getpid(), signal.SIGKILL)

import_public(whole, Path(sys.argv[1]), Path(sys.argv[2]), workers=2, report=report)
"""


def test_the_processes_of_a_killed_import_end_with_it(deliver: Path, tmp_path: Path) -> None:
    script, pids = tmp_path / "killed.py", tmp_path / "pids"
    script.write_text(KILLED_WITH_PROCESSES)
    killed = subprocess.run([sys.executable, str(script), str(deliver), str(tmp_path / "out"), str(pids)], check=False)
    assert killed.returncode == -signal.SIGKILL
    children = [int(pid) for pid in pids.read_text().split()]
    assert len(children) >= 2
    deadline = time.monotonic() + 60
    while any(map(is_working, children)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_working(pid: int) -> bool:
    """True unless the process is gone, or dead and waits for its parent's attention."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_several_processes_give_the_same_batch(tmp_path: Path) -> None:
    WRITERS["deliver"](tmp_path / "deliver")
    for out, workers in (("one", 1), ("two", 2)):
        import_public(whole_of_deliver, tmp_path / "deliver", tmp_path / out / "batch", workers=workers)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / out / "batch").iterdir()} for out in ("one", "two")
    )
    assert one == two


def whole_of_deliver(root: Path) -> Layout:
    return replace(PUBLIC["deliver"](root), official={})


def test_two_imports_to_one_batch_do_not_mix(deliver: Path, tmp_path: Path) -> None:
    with staging_folder(tmp_path / "out"), pytest.raises(BusyError, match="is under way already"):
        import_whole("deliver", tmp_path)
