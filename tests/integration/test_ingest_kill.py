"""Ingestion killed at any moment: data is as it was or as it is to be, no byte is lost, and a second call finishes."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.project import Project, enter, make_ingest_project
from helpers.servers import S3, is_alive
from sensorproof.adapters import dvc
from sensorproof.data.prepare import read_batches
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.errors import UsageError
from sensorproof.ingestion import file_manifest, ingest_batch, publish, review, transaction
from sensorproof.ingestion.file_manifest import FileManifest, hash_files
from sensorproof.ingestion.ledger import read_entries
from sensorproof.settings import load_settings

PIPELINE = """\
stages:
  names:
    cmd: sleep 5; ls ${data.raw} > names.txt
    deps:
      - ${data.raw}
    outs:
      - names.txt
"""
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["great_expectations", "sensorproof.validation", "sensorproof.ingestion"])
TARGET = Path("data/raw/second")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches that go together."""
    root = tmp_path_factory.mktemp("material")
    for name, offset in (("first", 0), ("second", 10)):
        simulate_batch(root / name, SimulationConfig(name, (48, 60), 3, 1, 3, 5, offset, 0.0))
    return root


@pytest.fixture
def here(tmp_path: Path, material: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one raw batch, and another in its inbox; it is the working folder."""
    root = tmp_path / "project"
    make_ingest_project(root, material / "first", PIPELINE)
    shutil.copytree(material / "second", root / "data/inbox/second")
    enter(root, monkeypatch)
    return root


@pytest.fixture
def second(here: Path) -> Path:
    """The batch in the inbox."""
    return Path("data/inbox/second")


def die(*arguments: Any, **options: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def and_die(action: Callable[..., Any]) -> Callable[..., None]:
    def wrapper(*arguments: Any, **options: Any) -> None:
        action(*arguments, **options)
        die()

    return wrapper


def copy_half(source: Path, target: Path, listing: FileManifest) -> None:
    shutil.copytree(source / "camera", target / "camera")
    die()


def remove_half(source: Path, copy: Path) -> None:
    shutil.rmtree(source / "camera")
    die()


def die_soon(folder: Path, project: Path = Path()) -> None:
    """Leave `dvc add` behind without us."""
    subprocess.Popen([sys.executable, "-m", "dvc", "add", "--quiet", str(folder)])
    time.sleep(0.5)
    die()


POINTS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "before the copy": (transaction, "copy_files", die),
    "half copied": (transaction, "copy_files", copy_half),
    "copied": (transaction, "copy_files", and_die(transaction.copy_files)),
    "noted": (dvc, "writing", die),
    "placed": (dvc, "add", die),
    "while dvc adds": (dvc, "add", die_soon),
    "versioned": (dvc, "add", and_die(dvc.add)),
    "recorded": (transaction, "record", and_die(transaction.record)),
    "half removed": (transaction, "remove_copied", remove_half),
    "removed": (transaction, "remove_copied", and_die(file_manifest.remove_copied)),
}


ARCHIVE_POINTS = {
    "unpacked": (transaction, "unpack", and_die(transaction.unpack)),
    "measured": (review, "compare_content", die),
    **{name: POINTS[name] for name in ("half copied", "copied", "noted", "placed", "versioned", "recorded")},
}
POINTS_OF = {"data/inbox/second": POINTS, "data/inbox/second.zip": ARCHIVE_POINTS}


def take_in_and_die(point: str, root: str, source: str) -> None:
    """What the killed process does."""
    os.chdir(root)
    module, name, replacement = POINTS_OF[source][point]
    setattr(module, name, replacement)
    ingest_batch(Path(source), load_settings(), move=True)


def check_nothing_is_lost(listing: FileManifest, second: Path) -> None:
    """Either state is whole, and each byte is in one place or the other."""
    batches = {batch.name for batch in read_batches(Path("data/raw"))}
    assert batches in ({"first"}, {"first", "second"})
    if TARGET.exists():
        assert hash_files(TARGET) == listing
    else:
        assert hash_files(second) == listing


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_the_old_or_the_new_state_and_a_second_call_finishes(
    point: str, here: Path, second: Path
) -> None:
    listing = hash_files(second)
    process = PROCESSES.Process(target=take_in_and_die, args=(point, str(here), str(second)))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    check_nothing_is_lost(listing, second)
    taken = ingest_batch(second, load_settings(), move=True)
    assert (taken.name, taken.frames, taken.left) == ("second", 9, ())
    assert hash_files(TARGET) == listing
    assert dvc.added_files(Path("data/raw/second.dvc")) == listing
    assert not second.exists()
    assert list(Path("data/raw/.incoming").iterdir()) == []
    assert ingested() == ["second"]


def ingested() -> list[str]:
    """Names of the batches that the ledger says were ingested, once for each time."""
    return [entry.batch for entry in read_entries(Path("data/ingested.jsonl")) if entry.action == "ingested"]


@pytest.mark.parametrize("point", ARCHIVE_POINTS)
def test_an_archive_survives_a_kill_too(point: str, here: Path, second: Path) -> None:
    listing = hash_files(second)
    shutil.make_archive(str(second), "zip", second)
    archive = second.with_name("second.zip")
    shutil.rmtree(second)
    process = PROCESSES.Process(target=take_in_and_die, args=(point, str(here), str(archive)))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert archive.exists()
    taken = ingest_batch(archive, load_settings(), move=True)
    assert (taken.name, taken.frames, taken.left) == ("second", 9, ())
    assert hash_files(TARGET) == dvc.added_files(Path("data/raw/second.dvc")) == listing
    assert not archive.exists()
    assert list(Path("data/raw/.incoming").iterdir()) == []
    assert [path for path in Path("data/raw/.unpacked").rglob("*") if path.is_file()] == []
    assert ingested() == ["second"]


def test_kills_from_outside_at_any_time(here: Path, second: Path) -> None:
    listing = hash_files(second)
    command = [sys.executable, "-c", "from sensorproof.cli import main; main()", "ingest", str(second), "--move"]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not TARGET.exists() and process.poll() is None:
        time.sleep(0.01)
    whole = time.monotonic() - started
    process.kill()
    process.wait()
    check_nothing_is_lost(listing, second)
    for share in (0.9, 0.97, 1.0, 1.05):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(share * whole)
        process.kill()
        process.wait()
        check_nothing_is_lost(listing, second)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "is already ingested" in done.stderr or "is missing" in done.stderr
    assert hash_files(TARGET) == dvc.added_files(Path("data/raw/second.dvc")) == listing


def test_a_running_stage_that_reads_the_data_is_waited_for(here: Path, second: Path) -> None:
    """DVC notes what a stage has read when the stage ends: a batch that came meanwhile would never be trained on."""
    with subprocess.Popen([sys.executable, "-m", "dvc", "repro", "names"], stdout=subprocess.PIPE, text=True) as stage:
        assert stage.stdout is not None
        for line in stage.stdout:
            if line.startswith("> "):
                break
        started = time.monotonic()
        with dvc.writing(TARGET):
            waited = time.monotonic() - started
            assert Path("names.txt").read_text() == "first\n"
            shutil.copytree(second, TARGET)
        stage.stdout.read()
    assert stage.returncode == 0
    assert waited > 1
    assert "names" in dvc.status()


def test_two_at_once_take_a_batch_in_once(here: Path, second: Path) -> None:
    command = [sys.executable, "-c", "from sensorproof.cli import main; main()", "ingest", str(second)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 4]
    assert sum("is already ingested" in error for error in errors) == 1
    assert hash_files(TARGET) == hash_files(second)


def test_bytes_go_to_s3_and_come_back(here: Path, second: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, listing = load_settings(), hash_files(second)
    taken = ingest_batch(second, settings)
    assert not publish(taken, settings)
    with pytest.raises(UsageError, match="no default remote; name one"):
        dvc.push("data/raw/second.dvc")
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    dvc.run_dvc("remote", "add", "--default", "store", s3.bucket("ingest"))
    dvc.run_dvc("remote", "modify", "store", "endpointurl", s3.endpoint)
    assert publish(taken, settings)
    shutil.rmtree(TARGET)
    shutil.rmtree(dvc.run_dvc("cache", "dir").strip())
    dvc.pull("data/raw/second.dvc")
    assert hash_files(TARGET) == listing


def test_an_interrupted_reproduction_leaves_no_stage_behind(project: Project) -> None:
    (project.root / "dvc.yaml").write_text("stages:\n  slow:\n    cmd: echo $$ > pid; exec sleep 600\n")
    # A shell's background job, as these tests may be, ignores what Ctrl-C sends, and so would its children.
    code = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from sensorproof.adapters.dvc import reproduce
reproduce("slow")
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=project.root, stderr=subprocess.DEVNULL)
    pid = project.root / "pid"
    while not (pid.exists() and pid.read_text().strip()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) != 0
    deadline = time.monotonic() + 10
    while is_alive(int(pid.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
