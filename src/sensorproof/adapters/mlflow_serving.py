"""Run a packaged model as its users do: in another process by `mlflow models serve`, or by MLflow's pyfunc."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sensorproof.errors import SensorproofError

_PATIENCE_S = 120.0


@contextmanager
def serve(model: Path) -> Iterator[str]:
    """Serve a packaged model on a free loopback port; yield the address of the server.

    Raises:
        SensorproofError: the server does not answer within two minutes.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    address = ["-m", str(model), "-h", "127.0.0.1", "-p", str(port), "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *address],
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": path},
            start_new_session=True,
        )
        try:
            _wait(f"{url}/ping", process)
            yield url
        finally:
            _end(process)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SensorproofError("mlflow models serve", "does not answer", "run it by hand to see why")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server and its workers."""
    import signal
    from contextlib import suppress

    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def post(url: str, body: bytes) -> bytes:
    """Send a request to a server, as JSON, and return the body of its answer.

    Raises:
        SensorproofError: it answers with an error.
    """
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:
        raise SensorproofError(url, json.loads(error.read())["message"], "see the message") from None


def load_pyfunc(model: Path) -> Any:
    """Load a packaged model as MLflow's users do."""
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(model))


def request_body(inputs: Any, params: Mapping[str, Any]) -> bytes:
    """Write a request as JSON."""
    return json.dumps({"inputs": inputs, "params": dict(params)}).encode()
