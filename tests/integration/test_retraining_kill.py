"""The flow `retraining` killed in and after each stage, and between: run again, it ends as the undisturbed one does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from helpers.paths import ROOT
from helpers.servers import BIN, answers, free_port, running
from sensorproof.files import parse_yaml

PIPELINE = """\
stages:
  prepare:
    cmd: sh stage.sh prepare "ls ${data.raw} > names.txt"
    deps:
      - ${data.raw}
    outs:
      - names.txt
  train:
    matrix:
      seed: [0, 1]
    cmd: sh stage.sh train-${item.seed} "cat names.txt > model-${item.seed}.txt"
    deps:
      - names.txt
    outs:
      - model-${item.seed}.txt
"""
STAGE = """\
if test -e "slow-$1"; then echo half > half.txt; touch "in-$1"; sleep 600; fi
sh -c "$2"
"""
CODE = """\
import os, signal, sys
sys.path.insert(0, "pipelines/flows")
import retraining
from sensorproof.adapters import dvc

when, what = sys.argv[1:]
def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

reproduce = dvc.reproduce
def reproduce_and_die(stage, **options):
    ran = reproduce(stage, **options)
    if (when, what) == ("after", stage):
        die()
    return ran

dvc.reproduce = reproduce_and_die
if when == "call":
    setattr(dvc, what, die)
retraining.main()
"""
STAGES = ("prepare", "train@0", "train@1")
POINTS = [
    ("call", "status"),
    ("call", "stage_graph"),
    ("call", "locked_outputs"),
    *((when, stage) for stage in STAGES for when in ("in", "after")),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server: a flow of its own would start one each time."""
    root = tmp_path_factory.mktemp("prefect")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {"PREFECT_HOME": str(root), "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with running(command, lambda: answers(f"{url}/health"), root / "server.log", environment=environment):
        yield url


class Site:
    """A project with two raw files."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        (root / ".dvc").mkdir(parents=True)
        for name in ("params.yaml", ".dvcignore", ".dvc/config"):
            shutil.copy(ROOT / name, root / name)
        shutil.copytree(ROOT / "pipelines", root / "pipelines")
        (root / "data/raw/old").mkdir(parents=True)
        (root / "data/raw/old/notes.txt").write_text("old")
        (root / "dvc.yaml").write_text(PIPELINE)
        (root / "stage.sh").write_text(STAGE)
        (root / "run.py").write_text(CODE)

    def start(self, when: str = "never", what: str = "") -> subprocess.Popen[str]:
        own = {"PREFECT_API_URL": self.url, "PREFECT_HOME": str(self.root / ".prefect"), "DO_NOT_TRACK": "1"}
        environment = {**os.environ, **own, "DVC_SITE_CACHE_DIR": str(self.root / ".dvc/site")}
        command = [sys.executable, "run.py", when, what]
        return subprocess.Popen(
            command, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def outputs(self) -> dict[str, str]:
        """{path: hash} of everything that the stages have locked."""
        stages = parse_yaml((self.root / "dvc.lock").read_text())["stages"]
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, server: str) -> dict[str, str]:
    site = Site(tmp_path_factory.mktemp("undisturbed") / "project", server)
    process = site.start()
    assert "prepare, train@0, train@1 ran" in process.communicate()[0]
    return site.outputs()


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_end(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + 20
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline, processes
        time.sleep(0.02)


@pytest.mark.parametrize(("when", "what"), POINTS, ids=lambda part: str(part))
def test_a_kill_leaves_no_child_and_the_next_run_ends_like_the_undisturbed_one(
    when: str, what: str, tmp_path: Path, server: str, undisturbed: dict[str, str]
) -> None:
    site = Site(tmp_path / "project", server)
    name = what.replace("@", "-")
    if when == "in":
        (site.root / f"slow-{name}").touch()
    process = site.start(when, what)
    children: list[psutil.Process] = []
    if when == "in":
        while not (site.root / f"in-{name}").exists():
            assert process.poll() is None
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 3  # DVC, the shell of the stage, and what it runs
        process.kill()
        (site.root / f"slow-{name}").unlink()
    printed = process.communicate()[0]
    assert process.returncode == -signal.SIGKILL, printed
    wait_for_end(children)
    again = site.start()
    printed = again.communicate()[0]
    assert again.returncode == 0, printed
    assert site.outputs() == undisturbed
    assert site.start().communicate()[0].startswith("nothing to do: ")
