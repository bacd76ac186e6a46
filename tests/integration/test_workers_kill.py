"""Processes that measure end with a parent that is killed, and what they had done is not done again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from helpers.paths import ROOT
from sensorproof.benchmarks.ingest_data import write_frames

FRAMES = 224
CODE = """\
import sys
from pathlib import Path
from sensorproof.alignment.known_statistics import Measuring
from sensorproof.alignment.measured import measure
from sensorproof.data.batch import read_batch
from sensorproof.settings import load_settings

if __name__ == "__main__":
    result = measure(read_batch("made"), load_settings().validation, Measuring(2, measured=Path(sys.argv[1])))
    result.table.to_csv(sys.argv[1] + ".csv")
"""


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still works; a dead one may wait for its parent's attention."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_child_goes_on_writing_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_frames(tmp_path / "made", FRAMES, (96, 128))
    (tmp_path / "work.py").write_text(CODE)
    shards = tmp_path / "artifacts/cache/shards"

    def start(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "work.py", name], cwd=tmp_path)

    process = start("killed")
    while len(list(shards.glob("[!.]*"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    time.sleep(1)
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before
    assert not (tmp_path / "killed.csv").exists()
    assert start("killed").wait() == 0
    (tmp_path / "artifacts").rename(tmp_path / "before")
    assert start("undisturbed").wait() == 0
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "undisturbed.csv").read_bytes()
