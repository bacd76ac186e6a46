"""Commit single files to git, whatever else is in the index or changed; through the command line, as DVC is."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from sensorproof.errors import SensorproofError


def commit_files(paths: Sequence[Path], message: str, project: Path = Path()) -> None:
    """Commit some files, and nothing else: a dirty tree stays as it is.

    Raises:
        SensorproofError: there is no git, no branch to commit to, or git refuses.
    """
    if _git(project, "rev-parse", "--is-inside-work-tree") != "true":
        raise SensorproofError(
            project.resolve(), "is not in a git repository", "run `git init`, or ingestion.commit: false"
        )
    if _git(project, "symbolic-ref", "--quiet", "HEAD") is None:
        fix = "check out a branch, then commit the .dvc file"
        raise SensorproofError(project.resolve(), "has a detached HEAD, so that a commit would be lost", fix)
    names = [str(path) for path in paths if path.exists()]
    _run(project, "add", "--force", "--", *names)
    if _git(project, "status", "--porcelain", "--", *names):
        _run(project, "commit", "--quiet", "--only", "-m", message, "--", *names)


def _git(project: Path, *arguments: str) -> str | None:
    """Return what a command printed; None if it failed or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _run(project: Path, *arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        fault = lines[-1] if lines else "failed without a word"
        raise SensorproofError(f"git {arguments[0]}", fault, "commit the .dvc file by hand")
