"""The local platform: MLflow, Prefect, a worker and the Optuna dashboard under Supervisor, each on loopback.

supervisord.conf says what runs; here it is started, waited for and ended. Each process carries the project's folder in
its environment, so that what a killed supervisor left behind is found as well.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from supervisor.xmlrpc import SupervisorTransport

from sensorproof.errors import SensorproofError

CONFIG: Final = "supervisord.conf"
LOGS: Final = ".platform"
_MARK: Final = "SENSORPROOF_PLATFORM"
"""Environment variable of every process of a platform: the project's folder."""
_PATIENCE_S: Final = 300.0
_STOP_S: Final = 40.0
_RUNNING: Final = ("STARTING", "RUNNING")


@dataclass(frozen=True)
class Ports:
    """Where the servers listen."""

    mlflow: int = 5000
    prefect: int = 4200
    optuna: int = 8080

    @property
    def addresses(self) -> dict[str, str]:
        """{server: address of its page}."""
        return {name: f"http://127.0.0.1:{port}" for name, port in vars(self).items()}


@dataclass(frozen=True)
class Service:
    """One program of the platform, and its state in Supervisor's words."""

    name: str
    state: str


def start(project: Path, ports: Ports, studies: str) -> bool:
    """Start the platform and wait until every server answers and the worker is at work.

    Args:
        project: its folder.
        ports: where to listen.
        studies: what the Optuna dashboard shows: a database address or a journal file.

    Returns:
        Whether it was started; False if it was running already, whatever the ports.

    Raises:
        SensorproofError: a port is taken, or a program does not come up; then nothing is left running.
    """
    if services(project):
        return False
    _check_ports(ports)
    (project / LOGS).mkdir(exist_ok=True)
    _write_ports(project, ports)
    program = shutil.which("supervisord", path=str(Path(sys.executable).parent)) or "supervisord"
    command = [program, "-c", str(project / CONFIG)]
    done = subprocess.run(
        command, cwd=project, env=_environment(project, ports, studies), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SensorproofError(CONFIG, f"supervisord refuses it: {done.stderr.strip()[-200:]}", "correct it")
    try:
        _wait(project, ports)
    except SensorproofError:
        stop(project)
        raise
    return True


def stop(project: Path) -> bool:
    """End the platform and all that it started; return whether anything ran."""
    ran = bool(services(project))
    if ran:
        with suppress(OSError, xmlrpc.client.Error):
            _client(project).supervisor.shutdown()
        deadline = time.monotonic() + _STOP_S
        while services(project) and time.monotonic() < deadline:
            time.sleep(0.2)
    left = list(_processes(project))
    for process in left:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=10)[1]:
        with suppress(psutil.Error):
            process.kill()
    return ran or bool(left)


def services(project: Path) -> list[Service]:
    """List the programs of a platform that runs; none where it does not."""
    if not _socket(project).exists():
        return []
    try:
        known: Any = _client(project).supervisor.getAllProcessInfo()
    except (OSError, xmlrpc.client.Error):
        return []
    return [Service(each["name"], each["statename"]) for each in known]


def read_ports(project: Path) -> Ports:
    """Return where the running platform listens."""
    lines = (project / LOGS / "ports").read_text(encoding="utf-8").split()
    return Ports(*map(int, lines))


def _write_ports(project: Path, ports: Ports) -> None:
    text = " ".join(str(port) for port in vars(ports).values())
    (project / LOGS / "ports").write_text(text, encoding="utf-8")


def _check_ports(ports: Ports) -> None:
    """Check that nothing listens on any port."""
    for name, port in vars(ports).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                fix = f"end what listens there, or choose another: --{name}-port"
                raise SensorproofError(f"127.0.0.1:{port}", f"the port of {name} is taken", fix) from error


def _environment(project: Path, ports: Ports, studies: str) -> dict[str, str]:
    """Return the environment of all programs."""
    own = {f"PLATFORM_{name.upper()}_PORT": str(port) for name, port in vars(ports).items()}
    folder = str(Path(sys.executable).parent)
    return {
        **os.environ,
        **own,
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PLATFORM_SOCKET": str(_socket(project)),
        "PLATFORM_STUDIES": studies,
        "PREFECT_API_URL": f"{ports.addresses['prefect']}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        _MARK: str(project.resolve()),
    }


def _wait(project: Path, ports: Ports) -> None:
    """Wait until everything is up; name what is not, and its log."""
    deadline = time.monotonic() + _PATIENCE_S
    pages = dict(ports.addresses)
    api = pages["prefect"] = f"{pages['prefect']}/api"
    waiting = {**{name: f"{address}/health" for name, address in pages.items()}, "optuna": f"{pages['optuna']}/"}
    while waiting or not _has_worker(api):
        for name, url in list(waiting.items()):
            with suppress(httpx.HTTPError):
                if httpx.get(url, timeout=5, follow_redirects=True).status_code < 400:
                    del waiting[name]
        states = {each.name: each.state for each in services(project)}
        failed = [name for name, state in states.items() if state not in _RUNNING and state != "BACKOFF"]
        if failed or not states or time.monotonic() > deadline:
            name = (failed or list(waiting) or ["worker"])[0]
            raise SensorproofError(name, "does not come up", f"read {LOGS}/{name}.log")
        time.sleep(0.3)


def _has_worker(api: str) -> bool:
    """Return whether a worker is at work in the project's pool."""
    try:
        found = httpx.post(f"{api}/work_pools/sensorproof/workers/filter", json={}, timeout=5)
    except httpx.HTTPError:
        return False
    return found.status_code == httpx.codes.OK and any(each["status"] == "ONLINE" for each in found.json())


def _socket(project: Path) -> Path:
    """Return the control socket: in a private folder, as the path of a socket may have about 100 bytes only."""
    key = hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:12]
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"sensorproof-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SensorproofError(folder, "belongs to somebody else", "set XDG_RUNTIME_DIR to a folder of your own")
    return folder / f"{key}.sock"


def _client(project: Path) -> xmlrpc.client.ServerProxy:
    """Return Supervisor's interface."""
    transport = SupervisorTransport(None, None, f"unix://{_socket(project)}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)


def _processes(project: Path) -> Iterator[psutil.Process]:
    """Yield every process that the platform started, whoever its parent is now."""
    mark = str(project.resolve())
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(_MARK) == mark:
                yield process
