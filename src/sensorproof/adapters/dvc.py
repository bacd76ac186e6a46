"""DVC owns the bytes: batches are added, stages reproduced, remotes pushed and pulled, all through its command line.

The command line is its stable face, and a process of its own leaves no lock or state behind in ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml

from sensorproof.adapters import quiet_environment
from sensorproof.errors import SensorproofError, UsageError

Echo = Callable[[str], None]
TAIL = 200
"""Lines of output that are kept to find the error in."""


def run_dvc(*arguments: str, project: Path = Path(), echo: Echo | None = None) -> str:
    """Run one DVC command and return what it printed; `echo` is given each line as it comes.

    It waits while another DVC process holds the repository.

    Raises:
        SensorproofError: it failed; the text is the one line that says why.
    """
    quiet_environment(project)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if echo is not None:
                    echo(lines[-1])
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise SensorproofError(
            f"dvc {' '.join(arguments)}", find_error(lines[-TAIL:]), f"run `dvc {arguments[0]}` in {project.resolve()}"
        )
    return "\n".join(lines)


def environment() -> dict[str, str]:
    """The environment of a DVC process: its stages find the same Python as we run on."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def find_error(lines: list[str]) -> str:
    """The line that names the fault: a stage's own `error: …` before DVC's summary of it, else the last line."""
    for start in ("error: ", "ERROR: "):
        for line in reversed(lines):
            if line.startswith(start) and "unexpected error" not in line:
                return line.removeprefix(start)
    return next((line for line in reversed(lines) if line.strip()), "failed without a word")


def ensure_repository(project: Path = Path()) -> None:
    """Make the folder a DVC repository if it is none."""
    if not (project / ".dvc" / "config").exists():
        run_dvc("init", "--quiet", "--no-scm", project=project)
        run_dvc("config", "core.analytics", "false", project=project)
        run_dvc("config", "core.check_update", "false", project=project)


def add(folder: Path, project: Path = Path()) -> Path:
    """Version a folder; return its .dvc file, which is small and belongs in git. Adding it again changes nothing."""
    run_dvc("add", "--quiet", str(folder), project=project)
    return project / folder.with_name(f"{folder.name}.dvc")


def added_hash(pointer: Path) -> str:
    """The hash that a .dvc file records."""
    return str(read_yaml(pointer)["outs"][0]["md5"])


def reproduce(stage: str, project: Path = Path(), *, force: bool = False, echo: Echo | None = print) -> bool:
    """Reproduce one stage, without those it depends on; True if it ran, False if it was up to date."""
    options = ["--single-item", *(["--force"] if force else [])]
    output = run_dvc("repro", *options, stage, project=project, echo=echo)
    return f"Running stage '{stage}'" in output or f"Stage '{stage}' is cached" in output


def stage_graph(project: Path = Path()) -> dict[str, set[str]]:
    """The stages of dvc.yaml in an order in which they can run, each with the stages that it waits for.

    A matrix is expanded (`train@baseline-0`); .dvc files are left out: they are data, not work.
    """
    listed = run_dvc("stage", "list", "--name-only", project=project).split()
    graph: dict[str, set[str]] = {stage: set() for stage in listed}
    for line in run_dvc("dag", "--dot", project=project).splitlines():
        before, arrow, after = (part.strip(' ";') for part in line.partition("->"))
        if arrow and before in graph and after in graph:
            graph[after].add(before)
    order = TopologicalSorter({stage: sorted(before) for stage, before in graph.items()}).static_order()
    return {stage: graph[stage] for stage in order}


def locked_hash(stage: str, dependency: str, project: Path = Path()) -> str:
    """The hash of a dependency when the stage last ran, out of dvc.lock: `<md5>.dir` for a folder.

    A stage that runs for the first time is not locked yet, but those before it are. Without DVC (a stage script
    that was run by hand before any `dvc repro`) the answer is `none`.
    """
    lock = project / "dvc.lock"
    if not lock.exists():
        return "none"
    stages = read_yaml(lock).get("stages") or {}
    for entry in (stages.get(stage) or {}).get("deps") or []:
        if entry["path"] == dependency:
            return str(entry["md5"])
    return "none"


def status(*targets: str, project: Path = Path()) -> dict[str, Any]:
    """What differs from the last run, as DVC's JSON: {stage or .dvc file: [changes]}; empty if nothing does."""
    answer: dict[str, Any] = json.loads(run_dvc("status", "--json", *targets, project=project) or "{}")
    return answer


def changed_outputs(pointers: list[Path], project: Path = Path()) -> dict[str, str]:
    """{path: `modified` or `deleted`} of added data that is no longer as its .dvc file says."""
    changes: dict[str, str] = {}
    if pointers:
        for entries in status(*map(str, pointers), project=project).values():
            for entry in entries:
                if isinstance(entry, Mapping):
                    changes |= entry.get("changed outs", {})
    return changes


def has_remote(project: Path = Path()) -> bool:
    """True if a default remote is configured."""
    return "core.remote=" in run_dvc("config", "--list", project=project)


def push(*targets: str, project: Path = Path()) -> None:
    """Copy versioned data to the default remote."""
    transfer("push", targets, project)


def pull(*targets: str, project: Path = Path()) -> None:
    """Fetch versioned data from the default remote and lay it out."""
    transfer("pull", targets, project)


def transfer(verb: str, targets: tuple[str, ...], project: Path) -> None:
    if not has_remote(project):
        raise UsageError(".dvc/config", "no default remote", "name one: `dvc remote add --default NAME URL`")
    run_dvc(verb, *targets, project=project)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping that DVC wrote."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SensorproofError(path, f"cannot be read ({error})", "restore it from git, or run DVC again") from error
    return document if isinstance(document, dict) else {}
