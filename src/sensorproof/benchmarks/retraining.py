"""What Prefect and DVC cost: a retraining as a flow, against the commands of its stages one after the other.

Measured on a small copy of the checkout, in which every stage runs each time. A retraining without a server starts one
of its own, as `make retrain` does.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep

from sensorproof.adapters import dvc
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.files import dump_yaml, parse_yaml

_SMALL = {
    "data": {"size": [32, 40]},
    "train": {"steps": 12, "batch_size": 4, "checkpoint_every": 5, "device": "cpu"},
    "search": {"trials": 2, "steps": 4},
    "report": {"examples": 1},
}
_FLOW = "pipelines/flows/retraining.py"
_PATIENCE_S = 120.0


def bench_retraining(report: Callable[[str], None]) -> dict[str, float]:
    """Return all figures by name.

    Args:
        report: prints one line for each part.

    Raises:
        UsageError: the working folder is no checkout of the project.
        SensorproofError: a stage or the flow failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        _copy_checkout(project)
        _run(project, "sensorproof", "simulate", "data/raw/small", "--sites", "3", "--sequences", "2", "--frames", "3")
        report("every stage once, with DVC alone")
        whole = _forget_then_time(project, lambda: _run(project, "dvc", "repro"))
        report("the commands of the stages")
        own = _time(lambda: _run_commands(project))
        report("the flow, which starts a Prefect server of its own")
        without = _forget_then_time(project, lambda: _run(project, sys.executable, _FLOW))
        with _prefect_server(project) as address:
            report("the flow, with a Prefect server that runs")
            served = _forget_then_time(project, lambda: _run(project, sys.executable, _FLOW, PREFECT_API_URL=address))
        stages = len(dvc.stage_graph(project))
    return {
        "stages": float(stages),
        "their own commands, s": own,
        "dvc repro: more than that, s": whole - own,
        "flow without a server: more than that, s": without - own,
        "flow with a server: more than that, s": served - own,
    }


def _copy_checkout(project: Path) -> None:
    """Copy what git tracks, and make it small."""
    if not Path(_FLOW).is_file():
        raise UsageError(_FLOW, "is not in this folder", "run it in a checkout of the project")
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if Path(name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, project / name)
    params = parse_yaml((project / "params.yaml").read_text(encoding="utf-8"))
    for section, values in _SMALL.items():
        params[section] |= values
    (project / "params.yaml").write_text(dump_yaml(params), encoding="utf-8")


def _run(project: Path, *command: str, **environment: str) -> None:
    """Run a command in the project; what it prints is shown only if it fails."""
    own = {"DVC_SITE_CACHE_DIR": str(project / ".dvc/site"), "PREFECT_HOME": str(project / ".prefect")}
    known = {
        name: value for name, value in os.environ.items() if name not in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command,
        cwd=project,
        env=known | own | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        fault = f"ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
        raise SensorproofError(" ".join(command), fault, "mend that first")


def _run_commands(project: Path) -> None:
    """Run the command of every stage without DVC, in the order in which they need each other."""
    for stage in dvc.stage_graph(project):
        _run(project, "sh", "-c", dvc.locked_command(stage, project))


def _forget_then_time(project: Path, action: Callable[[], None]) -> float:
    """Make DVC forget what it ran, so that every stage runs again; return the seconds of the action."""
    (project / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(project / ".dvc/cache/runs", ignore_errors=True)
    return _time(action)


def _time(action: Callable[[], None]) -> float:
    started = perf_counter()
    action()
    return perf_counter() - started


@contextmanager
def _prefect_server(project: Path) -> Iterator[str]:
    """Run a Prefect server on a free port of the loopback interface; yield its address."""
    import httpx

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PREFECT_HOME": str(project / ".prefect-server")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        deadline = monotonic() + _PATIENCE_S
        while True:
            try:
                httpx.get(f"{address}/health", timeout=5).raise_for_status()
                break
            except httpx.HTTPError as error:
                if monotonic() > deadline or process.poll() is not None:
                    raise SensorproofError("prefect server", "does not answer", "see `prefect server start`") from error
                sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()
