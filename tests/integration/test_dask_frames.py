"""Frames measured and prepared as mapped Prefect tasks on a Dask cluster of two worker processes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from prefect.testing.utilities import prefect_test_harness

from helpers.paths import ROOT
from helpers.servers import free_port, running
from helpers.synthetic_scenes import write_synthetic_batch
from sensorproof.alignment import measured, shards
from sensorproof.alignment.known_statistics import Measuring
from sensorproof.alignment.measured import measure
from sensorproof.alignment.measurement import measure_batch
from sensorproof.artifacts import PREPARED_SHARDS
from sensorproof.data import prepare_shards
from sensorproof.data.batch import read_batch
from sensorproof.data.prepare import prepare
from sensorproof.settings import Settings, load_settings

FRAMES = 70


@pytest.fixture(scope="module")
def frames() -> Iterator[ModuleType]:
    """The module of the flow, with a server to talk to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "pipelines/flows")
        import frames as module

        with prefect_test_harness(server_startup_timeout=120):
            yield module
    del sys.modules["frames"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_synthetic_batch(root / "data/raw/made", FRAMES, 3)
    return root


@pytest.fixture(scope="module")
def cluster(project: Path) -> Iterator[tuple[str, Path]]:
    """A scheduler and two workers, each a process of its own; its address, and the log of the workers."""
    port, log = free_port(), project / "worker-1.log"
    address = f"tcp://127.0.0.1:{port}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--host", "127.0.0.1", "--no-nanny"]
    worker += ["--nthreads", "1", "--no-dashboard"]

    def log_says(path: Path, text: str) -> bool:
        return path.exists() and text in path.read_text()

    scheduler_log, second = project / "scheduler.log", project / "worker-2.log"
    with (
        running([*scheduler, "--no-dashboard"], lambda: log_says(scheduler_log, "Scheduler at"), scheduler_log,
                environment=environment, folder=project),
        running(worker, lambda: log_says(log, "Registered to"), log, environment=environment, folder=project),
        running(worker, lambda: log_says(second, "Registered to"), second, environment=environment, folder=project),
    ):  # fmt: skip
        yield address, project


@pytest.fixture
def settings(cluster: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The project's settings with the cluster; nothing else differs from a run on this machine alone."""
    monkeypatch.chdir(cluster[1])
    loaded = load_settings()
    compute = loaded.compute.model_copy(update={"engine": "dask", "address": cluster[0]})
    return loaded.model_copy(update={"compute": compute})


def test_two_workers_make_every_shard_and_the_stages_join_them(
    settings: Settings, frames: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path("data/raw/made").resolve()
    state = frames.spread([root], settings, raw=True)
    assert state.message == "3 shards to measure, 2 to prepare"
    assert frames.spread([root], settings, raw=True).message == "every shard is there"
    kept = {path: path.stat().st_mtime_ns for path in Path("artifacts/cache/shards").iterdir()}
    monkeypatch.setattr(shards, "measure_shard", pytest.fail)
    monkeypatch.setattr(prepare_shards, "prepare_shard", pytest.fail)
    here = measure(read_batch(root), settings.validation, Measuring())
    assert len(kept) == 3
    prepare(settings.data, Path("out"), cache=PREPARED_SHARDS)
    monkeypatch.undo()
    monkeypatch.chdir(root.parents[2])
    assert here.table.equals(measure_batch(read_batch(root), settings.validation).table)
    prepare(settings.data, Path("alone"))
    content = [{path.name: path.read_bytes() for path in Path(name).iterdir()} for name in ("out", "alone")]
    assert content[0] == content[1]


def test_a_lost_shard_is_made_again(settings: Settings, frames: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path("data/raw/made").resolve()
    for path in Path("artifacts/cache/measured").iterdir():
        path.unlink()
    frames.spread([root], settings)
    lost = sorted(Path("artifacts/cache/shards").iterdir())[1]
    lost.unlink()
    assert frames.spread([root], settings).message == "1 shards to measure, 0 to prepare"
    lost.unlink()
    made: list[int] = []
    run = measured.run_task
    monkeypatch.setattr(measured, "run_task", lambda task: made.append(task.start) or run(task))
    measure(read_batch(root), settings.validation, Measuring())
    assert lost.exists() is False


def test_without_an_address_the_workers_are_started_here(frames: ModuleType, settings: Settings) -> None:
    compute = settings.compute.model_copy(update={"address": None, "workers": 2})
    settings = settings.model_copy(update={"compute": compute})
    for path in Path("artifacts/cache/measured").iterdir():
        path.unlink()
    state = frames.spread([Path("data/raw/made").resolve()], settings)
    assert state.message == "3 shards to measure, 0 to prepare"


def test_on_one_machine_nothing_is_spread(frames: ModuleType) -> None:
    settings = load_settings(ROOT / "params.yaml")
    assert frames.spread([], settings) is None
