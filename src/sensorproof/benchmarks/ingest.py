"""Speed and memory of validation, preparation and ingestion: on one and two processes, and against plain DVC."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

from sensorproof.adapters import dvc
from sensorproof.benchmarks.ingest_data import write_frames
from sensorproof.settings import Settings, load_settings

_PROCESSES = 2
_SCRIPT = """\
import sys
from sensorproof.benchmarks.ingest import print_run

if __name__ == "__main__":
    print_run(*sys.argv[1:])
"""
_PREPARED_SIDE = 256
"""Height and width to which large frames are prepared."""


def bench_ingest(frames: int, side: int, small: int) -> dict[str, Any]:
    """Return all figures by name.

    Args:
        frames: number of large frames, of four sensors with labels.
        side: their height and width in pixels.
        small: number of frames of 48 x 64 that are ingested, against `dvc add` and `dvc push` of the same files.
    """
    params = Path("params.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "params.yaml").write_text(params, encoding="utf-8")
        figures = _bench_frames(root, frames, side)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "params.yaml").write_text(params, encoding="utf-8")
        return figures | _bench_small(root, small)


def _bench_frames(root: Path, frames: int, side: int) -> dict[str, Any]:
    """Measure and prepare a batch with one process and with two, and a quarter of it for the memory."""
    few = max(8, frames // 4)
    write_frames(root / "raw/many", frames, (side, side))
    write_frames(root / "few/few", few, (side, side))
    figures: dict[str, Any] = {"frames: number": frames, "frames: height and width, px": side}
    for work in ("validate", "prepare"):
        one = _run(root, work, "raw/many", 1)
        two = _run(root, work, "raw/many", _PROCESSES)
        small = _run(root, work, "few/few", _PROCESSES)
        assert one["hash"] == two["hash"], f"{work} gives another result on two processes"
        figures |= {
            f"{work}: one process, s": one["seconds"],
            f"{work}: two processes, s": two["seconds"],
            f"{work}: times faster": one["seconds"] / two["seconds"],
            f"{work}: frames a second": frames / two["seconds"],
            f"{work}: peak of a process, MiB": two["peak_mib"],
            f"{work}: the same with {few} frames, MiB": small["peak_mib"],
        }
    return figures


def _run(root: Path, work: str, batch: str, workers: int) -> dict[str, Any]:
    """Run a work in a process of its own."""
    script = root / "run.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), work, batch, str(workers)], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def print_run(work: str, batch: str, workers: str) -> None:
    """Validate or prepare a batch without what was kept before; print seconds, peak memory and a hash as JSON."""
    import resource

    started = perf_counter()
    result = _WORKS[work](Path(batch), int(workers))
    seconds = perf_counter() - started
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "hash": result}))


def _validate(batch: Path, workers: int) -> str:
    """Validate a batch with its results; return the hash of the measures."""
    import shutil

    from sensorproof.hashing import hash_file
    from sensorproof.validation import validate_batch

    shutil.rmtree("artifacts", ignore_errors=True)
    settings = _settings(workers, "nothing")
    validate_batch(batch, settings, Path("out"), record=False)
    return hash_file(Path("out/measures.csv"))


def _prepare(batch: Path, workers: int) -> str:
    """Prepare the folder of a batch; return the hash of the arrays."""
    import shutil

    from sensorproof.artifacts import PREPARED_SHARDS
    from sensorproof.data.prepare import prepare
    from sensorproof.hashing import hash_files, hash_json

    shutil.rmtree("artifacts", ignore_errors=True)
    settings = _settings(workers, str(batch.parent))
    data = settings.data.model_copy(update={"size": [_PREPARED_SIDE, _PREPARED_SIDE]})
    prepare(data, Path("prepared"), cache=PREPARED_SHARDS, workers=workers)
    return hash_json(hash_files(Path("prepared"), sorted(path.name for path in Path("prepared").iterdir())))


_WORKS: dict[str, Callable[[Path, int], str]] = {"validate": _validate, "prepare": _prepare}


def _settings(workers: int, raw: str) -> Settings:
    settings = load_settings()
    compute = settings.compute.model_copy(update={"workers": workers, "engine": "local"})
    data = settings.data.model_copy(update={"raw": raw})
    return settings.model_copy(update={"compute": compute, "data": data})


def _bench_small(root: Path, frames: int) -> dict[str, Any]:
    """Ingest small frames, and add and push the same files with DVC alone, each in a project of its own."""
    before, site = Path.cwd(), os.environ.get("DVC_SITE_CACHE_DIR")
    write_frames(root / "plain/data/raw/small", frames, (48, 64))
    write_frames(root / "ours/data/inbox/small", frames, (48, 64))
    files = sum(1 for path in (root / "plain/data/raw/small").rglob("*") if path.is_file())
    try:
        os.chdir(root / "plain")
        os.environ["DVC_SITE_CACHE_DIR"] = str(root / "plain/.dvc/site")
        _make_project()
        started = perf_counter()
        dvc.add(Path("data/raw/small"))
        added = perf_counter() - started
        dvc.push("data/raw/small.dvc")
        plain = perf_counter() - started
        os.chdir(root / "ours")
        os.environ["DVC_SITE_CACHE_DIR"] = str(root / "ours/.dvc/site")
        _make_project()
        (root / "ours/params.yaml").write_text((root / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        whole, validation = _ingest(Path("data/inbox/small"))
    finally:
        os.chdir(before)
        if site is None:
            os.environ.pop("DVC_SITE_CACHE_DIR", None)
        else:
            os.environ["DVC_SITE_CACHE_DIR"] = site
    return {
        "ingest: frames of 48 x 64": frames,
        "ingest: files": files,
        "ingest: dvc add, s": added,
        "ingest: dvc add and push, s": plain,
        "ingest: ingestion and push, s": whole,
        "ingest: of which validation, s": validation,
        "ingest: rate without validation, of plain DVC's": plain / (whole - validation),
    }


def _make_project() -> None:
    """Make the working folder a DVC project with a remote on this disk."""
    dvc.ensure_repository()
    dvc.run_dvc("remote", "add", "--default", "store", str(Path("../store").resolve() / Path.cwd().name))


def _ingest(batch: Path) -> tuple[float, float]:
    """Ingest and push a batch; return the seconds, and those of the validation in them."""
    from sensorproof import validation
    from sensorproof.ingestion import ingest_batch, publish, review

    settings = load_settings()
    spent: list[float] = []
    with _timed(review, "measure", spent), _timed(validation, "validate_batch", spent):
        started = perf_counter()
        publish(ingest_batch(batch, settings, move=True), settings)
        whole = perf_counter() - started
    return whole, sum(spent)


@contextmanager
def _timed(module: ModuleType, name: str, spent: list[float]) -> Iterator[None]:
    """Note the seconds of every call of a function of a module."""
    function = getattr(module, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        started = perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent.append(perf_counter() - started)

    setattr(module, name, timed)
    try:
        yield
    finally:
        setattr(module, name, function)
