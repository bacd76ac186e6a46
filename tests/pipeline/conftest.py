"""A sound batch in files, and a copy of it to be spoiled."""

import os
from pathlib import Path

import pytest

from faulty_batch import FRAMES
from scenes import ROOT, write_files


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound batch, in a project."""
    root = tmp_path_factory.mktemp("validation")
    return write_files(root / "made", FRAMES, 2)


@pytest.fixture
def batch(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in a project of its own, which is the working folder."""
    os.system(f"cp -r {made} {tmp_path / 'made'}")
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path / "made"
