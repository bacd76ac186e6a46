"""A small project in a folder of its own, for tests that run the real pipeline."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.paths import ROOT

SMALL = """\
compute: {workers: 1}
data: {size: [32, 40]}
train:
  {arms: [baseline, regularized_dropout], seeds: [0, 1], steps: 12, batch_size: 4, checkpoint_every: 5, device: cpu}
search: {trials: 2, steps: 4, seeds: [0, 1]}
report: {examples: 1}
"""


@dataclass(frozen=True)
class Project:
    """A copy of the project's files; its commands run with the tests' interpreter."""

    root: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the project and return it with its output."""
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc/site"),
            "PREFECT_HOME": str(self.root / ".prefect"),
            "DO_NOT_TRACK": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "GX_ANALYTICS_ENABLED": "false",
        }
        environment.pop("MLFLOW_TRACKING_URI", None)
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def configure(self, override: str) -> None:
        """Merge YAML text into params.yaml."""
        (self.root / "override.yaml").write_text(override)
        self.run("sensorproof", "configure", "override.yaml")

    def simulate(self, name: str, *options: str) -> Path:
        """Make a small batch in data/raw."""
        size = ("--size", "48", "60", "--sequences", "2", "--frames", "3")
        self.run("sensorproof", "simulate", f"data/raw/{name}", *size, *options)
        return self.root / "data/raw" / name


def make_project(root: Path) -> Project:
    """Copy what a checkout holds, without data and results, and make it small."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("pipelines", "src"):
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, root / name)
    for name in ("raw", "inbox", "quarantine"):
        (root / "data" / name).mkdir(parents=True)
        (root / "data" / name / ".gitkeep").touch()
    (root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", root / ".dvc/config")
    project = Project(root)
    project.configure(SMALL)
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh small project without data."""
    return make_project(tmp_path / "project")


def make_ingest_project(root: Path, raw: Path, pipeline: str | None = None) -> None:
    """Make a project of DVC with one raw batch, and a pipeline where one is given.

    Args:
        root: the new folder.
        raw: the batch, which is copied.
        pipeline: the text of dvc.yaml.
    """
    (root / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, root / name)
    if pipeline is not None:
        (root / "dvc.yaml").write_text(pipeline)
    shutil.copytree(raw, root / "data/raw" / raw.name)


def enter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a project the working folder; DVC keeps its site cache inside."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(root / ".dvc/site"))
