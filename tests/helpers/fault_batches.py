"""A batch of files to put faults into, and ways to look at what comes of it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.synthetic_scenes import ROOT, settings, write_files
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.cli import main
from sensorproof.validation import validate_batch

FRAMES = 16


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


def shift_files(batch: Path, rows: range, pixels: int) -> None:
    """Move the content of some files of the sensor `other` down."""
    for row in rows:
        path = batch / "other" / f"{row}.png"
        Image.fromarray(np.roll(np.asarray(Image.open(path)), pixels, axis=0)).save(path)


def edit(batch: Path, change: Callable[[pd.DataFrame], None]) -> None:
    frames = pd.read_csv(batch / "frames.csv", dtype=str, keep_default_na=False)
    change(frames)
    frames.to_csv(batch / "frames.csv", index=False)


def validated(batch: Path, **options: bool) -> BatchVerdict:
    return validate_batch(batch, settings(), **options)


def ids(verdict: BatchVerdict) -> set[str]:
    return set(verdict.faults.frame_id)


def command(*arguments: str) -> int:
    """Run `sensorproof …` in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sensorproof", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    return int(left.value.code or 0)


def to_npy(batch: Path, values: np.ndarray) -> None:
    np.save(batch / "other" / "7.npy", values.astype(np.float32))
    edit(batch, lambda f: f.__setitem__("other", f.other.str.replace("other/7.png", "other/7.npy")))
