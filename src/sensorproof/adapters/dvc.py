"""Run DVC: add batches, reproduce stages, push and pull, all through its command line.

The command line is DVC's stable interface, and a separate process leaves no lock or state behind in ours.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

from sensorproof.adapters import quiet_environment
from sensorproof.errors import EXIT_REFUSED, RejectedError, SensorproofError, UsageError
from sensorproof.files import parse_yaml, read_json

_Echo = Callable[[str], None]
_GUARD = (sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")))
"""What ends a command when this process is killed."""
_TAIL = 200
"""Lines of output that are kept to find the error in."""
PATIENCE_S = 3600.0
"""How long to wait for stages that read what is to be written."""
_REAPED_S = 10.0
"""How long DVC may take a process that was killed for alive: until the system has reaped it."""
_Result = TypeVar("_Result")


class StageKilledError(SensorproofError):
    """A stage was killed, such as for lack of memory. It continues from its checkpoint when it is run again."""


class DvcCommandError(SensorproofError):
    """A DVC command that failed, with the last lines it printed."""

    def __init__(self, where: str, fault: str, fix: str, lines: list[str]) -> None:
        super().__init__(where, fault, fix)
        self.lines = lines


def run_dvc(*arguments: str, project: Path = Path(), echo: _Echo | None = None) -> str:
    """Run one DVC command and return what it printed; `echo` is given each line as it comes, warnings among them.

    It waits while another DVC process holds the repository. When we are interrupted or killed, the command and the
    stage that it runs are ended as well.

    Raises:
        Failure: it failed; the text is the one line that says why.
    """
    quiet_environment(project)
    command = [*_GUARD, sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    lines: list[str] = []
    with (
        tempfile.TemporaryFile("w+", errors="replace") as aside,
        subprocess.Popen(
            command,
            cwd=project,
            stdin=subprocess.PIPE,  # open until this process ends
            stdout=subprocess.PIPE,
            stderr=aside if echo is None else subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment(),
            start_new_session=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if echo is not None:
                    echo(lines[-1])
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise
        process.wait()
        aside.seek(0)
        tail = [*lines, *aside.read().splitlines()][-_TAIL:]
    if process.returncode:
        raise DvcCommandError(
            f"dvc {' '.join(arguments)}", find_error(tail), f"run `dvc {arguments[0]}` in {project.resolve()}", tail
        )
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """Return the environment of a DVC process: its stages find the Python that runs this one."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def find_error(lines: list[str]) -> str:
    """Find the line that names the fault: a stage's own `error: …` before DVC's summary, else the last line."""
    for start in ("error: ", "ERROR: "):
        for line in reversed(lines):
            fault = line.removeprefix(start).strip()
            if line.startswith(start) and fault and "unexpected error" not in line:
                return fault
    return next((line for line in reversed(lines) if line.strip()), "failed without a word")


def ensure_repository(project: Path = Path()) -> None:
    """Make the folder a DVC repository if it is none."""
    if not (project / ".dvc" / "config").exists():
        run_dvc("init", "--quiet", "--no-scm", project=project)
        run_dvc("config", "core.analytics", "false", project=project)
        run_dvc("config", "core.check_update", "false", project=project)


def add(folder: Path, project: Path = Path()) -> Path:
    """Version a folder; return its .dvc file, which is small and belongs in git. Adding it again changes nothing."""
    patiently(lambda: run_dvc("add", "--quiet", str(folder), project=project))
    return project / folder.with_name(f"{folder.name}.dvc")


def patiently(action: Callable[[], _Result], patience_s: float | None = None) -> _Result:
    """Do it again while a running stage reads what it would write: DVC does not wait for those."""
    deadline = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    while True:
        try:
            return action()
        except SensorproofError as error:
            if "is busy" not in error.fault or time.monotonic() > deadline:
                raise
            time.sleep(1)


@contextmanager
def writing(path: Path, project: Path = Path()) -> Iterator[None]:
    """Hold DVC's own write lock on a path inside the project, once no stage reads there; none starts meanwhile.

    DVC notes the hash of what a stage reads when the stage ends. Data that came while it ran would count as read.
    """
    from dvc.fs import localfs
    from dvc.lock import LockError
    from dvc.rwlock import rwlock

    folder = project.resolve() / ".dvc" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    target = str(project.resolve() / path)
    with ExitStack() as stack:

        def acquire() -> None:
            try:
                stack.enter_context(rwlock(str(folder), localfs, f"sensorproof {path}", [], [target], False))
            except LockError as error:
                raise SensorproofError(path, str(error), "wait until that is done") from error

        patiently(acquire)
        yield


def added_hash(pointer: Path) -> str:
    """Return the hash that a .dvc file records."""
    return str(_read_yaml(pointer)["outs"][0]["md5"])


def added_files(pointer: Path, project: Path = Path()) -> dict[str, str] | None:
    """{relative path: MD5} of the files of an added folder, out of the cache; None if that does not have them."""
    digest = added_hash(pointer)
    cache = project / run_dvc("cache", "dir", project=project).strip()
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    return {entry["relpath"]: entry["md5"] for entry in read_json(path)} if path.exists() else None


def reproduce(stage: str, project: Path = Path(), *, force: bool = False, echo: _Echo | None = print) -> bool:
    """Reproduce one stage, without those it depends on; True if it ran, False if it was up to date.

    Raises:
        Refused: the stage turned something down (exit code 4); its reasons are in the text.
        StageKilled: a signal ended the stage.
        SensorproofError: it failed otherwise.
    """
    options = ["--single-item", *(["--force"] if force else [])]
    try:
        output = run_dvc("repro", *options, stage, project=project, echo=echo)
    except DvcCommandError as failure:
        code, where, fix = stage_exit_code(failure.lines), f"stage {stage}", f"then run it again: `dvc repro {stage}`"
        if code == EXIT_REFUSED:
            raise RejectedError(where, failure.fault, fix) from failure
        if code is not None and (code < 0 or code > 128):
            number = -code if code < 0 else code - 128
            raise StageKilledError(where, f"was ended by signal {number}", fix) from failure
        raise SensorproofError(where, failure.fault, fix) from failure
    return f"Running stage '{stage}'" in output or f"Stage '{stage}' is cached" in output


def stage_exit_code(lines: list[str]) -> int | None:
    """Find the exit code of the stage that failed, negative for a signal; None if DVC itself failed."""
    codes = [match[1] for line in lines if (match := re.match(r"ERROR: .*, exited with (-?\d+)$", line))]
    return int(codes[-1]) if codes else None


def stage_graph(project: Path = Path()) -> dict[str, set[str]]:
    """List the stages of dvc.yaml in an order in which they can run, each with the stages that it waits for.

    A matrix is expanded (`train@baseline`); .dvc files are left out: they are data, not work.
    """
    graph: dict[str, set[str]] = {}
    for line in run_dvc("dag", "--dot", project=project).splitlines():
        names = [part.strip(' ";') for part in line.split("->")]
        if line.startswith('"') and not any(name.endswith(".dvc") for name in names):
            graph.setdefault(names[-1], set()).update(names[:-1])
    order = TopologicalSorter({stage: sorted(before) for stage, before in graph.items()}).static_order()
    return {stage: graph[stage] for stage in order}


def locked_outputs(stage: str, project: Path = Path()) -> dict[str, str]:
    """{path: hash} of what a stage wrote when it last ran, out of dvc.lock."""
    return {entry["path"]: str(entry["md5"]) for entry in locked(stage, "outs", project)}


def locked_hash(stage: str, dependency: str, project: Path = Path()) -> str:
    """Return a dependency's hash when the stage last ran, from dvc.lock: `<md5>.dir` for a folder.

    A stage that runs for the first time is not locked yet, but those before it are. Without DVC (a stage script
    that was run by hand before any `dvc repro`) the answer is `none`.
    """
    found = (entry["md5"] for entry in locked(stage, "deps", project) if entry["path"] == dependency)
    return str(next(found, "none"))


def locked_command(stage: str, project: Path = Path()) -> str:
    """Return the command of a stage when it last ran, out of dvc.lock."""
    return str(_locked_stage(stage, project)["cmd"])


def locked(stage: str, part: str, project: Path) -> list[dict[str, Any]]:
    """Return the entries of one part of a stage in dvc.lock; none if it has never run."""
    return _locked_stage(stage, project).get(part) or []


def _locked_stage(stage: str, project: Path) -> dict[str, Any]:
    lock = project / "dvc.lock"
    stages = (_read_yaml(lock).get("stages") or {}) if lock.exists() else {}
    return stages.get(stage) or {}


def status(*targets: str, project: Path = Path()) -> dict[str, Any]:
    """Return what differs from the last run, {stage or .dvc file: [changes]}; empty if nothing does.

    A stage that dvc.yaml declares `always_changed` is left out where nothing else about it has changed.
    """
    printed = patiently(lambda: run_dvc("status", "--json", *targets, project=project), _REAPED_S)
    answer: dict[str, Any] = json.loads(printed or "{}")
    if ["always changed"] in answer.values():
        stages = _read_yaml(project / "dvc.yaml").get("stages") or {}
        always = {name for name, stage in stages.items() if stage.get("always_changed")}
        return {
            name: changes for name, changes in answer.items() if name not in always or changes != ["always changed"]
        }
    return answer


def _changed_outputs(pointers: list[Path], project: Path = Path()) -> dict[str, str]:
    """{path: `modified` or `deleted`} of added data that is no longer as its .dvc file says."""
    changes: dict[str, str] = {}
    if pointers:
        for entries in status(*map(str, pointers), project=project).values():
            for entry in entries:
                if isinstance(entry, Mapping):
                    changes |= entry.get("changed outs", {})
    return changes


def has_remote(project: Path = Path()) -> bool:
    """Return whether a default remote is configured."""
    return "core.remote=" in run_dvc("config", "--list", project=project)


def push(*targets: str, project: Path = Path()) -> None:
    """Copy versioned data to the default remote."""
    _transfer("push", targets, project)


def pull(*targets: str, project: Path = Path()) -> None:
    """Fetch versioned data from the default remote and lay it out."""
    _transfer("pull", targets, project)


def _transfer(verb: str, targets: tuple[str, ...], project: Path) -> None:
    if not has_remote(project):
        raise UsageError(".dvc/config", "no default remote", "name one: `dvc remote add --default NAME URL`")
    run_dvc(verb, *targets, project=project)


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping that DVC wrote."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SensorproofError(path, f"cannot be read ({error})", "restore it from git, or run DVC again") from error
    return document if isinstance(document, dict) else {}
