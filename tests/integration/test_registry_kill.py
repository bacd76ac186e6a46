"""A change of the registry killed at every call to a real server: the next change finishes it, and nothing is lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mlflow import MlflowClient

from helpers.servers import MlflowServer
from sensorproof.adapters.mlflow import Connection
from sensorproof.adapters.mlflow_registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from sensorproof.errors import RejectedError

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["mlflow", "sensorproof.adapters.mlflow_registry"])
WRITES = (
    "create_registered_model",
    "set_registered_model_tag",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "delete_registered_model",
)
"""Every call by which a change of the aliases writes."""
CALLS = 7
"""lock, entry, previous, champion, challenger, head, unlock"""


@contextmanager
def registry(url: str, name: str) -> Iterator[Registry]:
    yield Registry(Connection(MlflowClient(url), url, "0"), name)


@pytest.fixture
def name(mlflow_server: MlflowServer, request: pytest.FixtureRequest) -> str:
    """A registered model of three versions: 1 is champion, 2 challenger."""
    name = f"model-{abs(hash(request.node.name)):x}"
    client = MlflowClient(mlflow_server.url)
    client.create_registered_model(name)
    run = client.create_run("0").info
    for _ in range(3):
        client.create_model_version(name, f"{run.artifact_uri}/model", run_id=run.run_id)
    with registry(mlflow_server.url, name) as ours, ours.locked():
        ours.set_aliases({CHAMPION: 1}, action="register", reason="first")
        ours.set_aliases({CHALLENGER: 2}, action="register", reason="second")
    return name


def promote(url: str, name: str, version: int = 2) -> None:
    with registry(url, name) as ours, ours.locked():
        ours.set_champion(ours.version(version), action="promote", reason="better")


def dying(call: Callable[..., Any], count: list[int], point: float) -> Callable[..., Any]:
    """Wrap a writing call: the process dies before (n) or after (n + 0.5) the n-th of them."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        if point == count[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args, **kwargs)
        if point == count[0] + 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def promote_and_die(url: str, name: str, point: float) -> None:
    """What the killed process does."""
    count = [0]
    for write in WRITES:
        setattr(MlflowClient, write, dying(getattr(MlflowClient, write), count, point))
    promote(url, name)
    os._exit(count[0])


def in_a_process(*arguments: Any) -> int | None:
    process = PROCESSES.Process(target=promote_and_die, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def test_a_change_makes_as_many_calls_as_are_killed(mlflow_server: MlflowServer, name: str) -> None:
    assert in_a_process(mlflow_server.url, name, 0.0) == CALLS


@pytest.mark.parametrize("point", [n + half for n in range(1, CALLS + 1) for half in (0, 0.5)])
def test_a_killed_change_is_finished_or_never_began(mlflow_server: MlflowServer, name: str, point: float) -> None:
    url = mlflow_server.url
    assert in_a_process(url, name, point) == -signal.SIGKILL
    with registry(url, name) as ours:
        written = len(ours.history()) == 3
        assert written == (point >= 2.5)
        with ours.locked():
            expected = {CHAMPION: 2, PREVIOUS: 1} if written else {CHAMPION: 1, CHALLENGER: 2}
            assert ours.aliases() == expected
            assert not ours.read_history().pending
        promote(url, name, 3)
        assert ours.aliases() == {CHAMPION: 3, PREVIOUS: expected[CHAMPION]} | ({} if written else {CHALLENGER: 2})
        assert ours.aliases() == ours.read_history().aliases()
        assert [change.action for change in ours.history()] == ["register"] * 2 + ["promote"] * (2 if written else 1)
    assert not MlflowClient(url).search_registered_models(f"name = '{name}.lock'")


def test_two_at_once_make_one_change_after_the_other(mlflow_server: MlflowServer, name: str) -> None:
    both = [PROCESSES.Process(target=promote, args=(mlflow_server.url, name, version)) for version in (2, 3)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    with registry(mlflow_server.url, name) as ours:
        last = ours.history()[-1]
        assert len(ours.history()) == 4
        assert ours.aliases()[CHAMPION] == last.after[CHAMPION]
        assert ours.aliases()[PREVIOUS] == ours.history()[-2].after[CHAMPION]
        assert ours.aliases() == ours.read_history().aliases()


def test_an_alias_that_somebody_moved_is_written_down(mlflow_server: MlflowServer, name: str) -> None:
    client = MlflowClient(mlflow_server.url)
    client.set_registered_model_alias(name, CHAMPION, "3")
    promote(mlflow_server.url, name)
    with registry(mlflow_server.url, name) as ours:
        outside, ours_change = ours.history()[-2:]
        assert (outside.action, outside.before, outside.after) == ("outside", {CHAMPION: 1}, {CHAMPION: 3})
        assert ours_change.after == {PREVIOUS: 3, CHAMPION: 2, CHALLENGER: None}


def test_a_champion_that_somebody_deleted_is_written_down(mlflow_server: MlflowServer, name: str) -> None:
    MlflowClient(mlflow_server.url).delete_model_version(name, "1")
    promote(mlflow_server.url, name)
    with registry(mlflow_server.url, name) as ours:
        assert ours.aliases() == {CHAMPION: 2}
        assert ours.history()[-2].after == {CHAMPION: None}


def test_a_killed_change_to_a_version_that_was_deleted_is_let_be(mlflow_server: MlflowServer, name: str) -> None:
    assert in_a_process(mlflow_server.url, name, 3.0) == -signal.SIGKILL
    MlflowClient(mlflow_server.url).delete_model_version(name, "2")
    promote(mlflow_server.url, name, 3)
    with registry(mlflow_server.url, name) as ours:
        assert ours.aliases() == {CHAMPION: 3, PREVIOUS: 1}
        assert ours.aliases() == ours.read_history().aliases()


def test_a_changed_entry_stops_every_change(mlflow_server: MlflowServer, name: str) -> None:
    client = MlflowClient(mlflow_server.url)
    promote(mlflow_server.url, name)
    tags = client.get_registered_model(name).tags
    second = sorted(key for key in tags if key.startswith("history."))[1]
    client.set_registered_model_tag(name, second, tags[second].replace("second", "seconds"))
    with registry(mlflow_server.url, name) as ours:
        before = ours.aliases()
        with pytest.raises(RejectedError, match="was changed or removed") as caught:
            promote(mlflow_server.url, name, 3)
        assert "\n" not in str(caught.value)
        assert ours.aliases() == before
    assert not client.search_registered_models(f"name = '{name}.lock'")


def test_the_lock_of_a_process_that_lives_is_respected(mlflow_server: MlflowServer, name: str) -> None:
    """The holder sleeps, is killed, and only then the waiting change goes through."""
    code = (
        "import sys, time\n"
        "from mlflow import MlflowClient\n"
        "from sensorproof.adapters.mlflow_lock import registry_lock\n"
        "with registry_lock(MlflowClient(sys.argv[1]), sys.argv[2]):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, mlflow_server.url, name], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = PROCESSES.Process(target=promote, args=(mlflow_server.url, name))
    waiting.start()
    waiting.join(8)
    assert waiting.is_alive()
    with registry(mlflow_server.url, name) as ours:
        assert ours.aliases() == {CHAMPION: 1, CHALLENGER: 2}
    holder.kill()
    holder.wait()
    waiting.join()
    assert waiting.exitcode == 0
