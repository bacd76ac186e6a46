"""A fault-free batch of files in a project of its own, and faults to put into it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.paths import ROOT
from helpers.synthetic_scenes import broken_rules, settings, write_synthetic_batch
from sensorproof import validation
from sensorproof.adapters.great_expectations import ExpectationResults
from sensorproof.alignment.decision.rules import Rule
from sensorproof.alignment.decision.verdict import BatchVerdict

FRAMES = 16


@pytest.fixture(scope="module")
def fault_free_batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `made` of a fault-free batch."""
    return write_synthetic_batch(tmp_path_factory.mktemp("validation") / "made", FRAMES, 2)


@pytest.fixture
def batch(fault_free_batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fault-free batch in a project of its own, which is the working folder."""
    shutil.copytree(fault_free_batch, tmp_path / "made")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "made"


def shift_images(batch: Path, rows: range, pixels: int) -> None:
    """Move the content of some images of the sensor `other` down."""
    for row in rows:
        path = batch / "other" / f"{row}.png"
        Image.fromarray(np.roll(np.asarray(Image.open(path)), pixels, axis=0)).save(path)


def resize_image(path: Path, width: int, height: int) -> None:
    """Resize an image file; every pixel takes the nearest one's value, so that label ids stay ids."""
    Image.open(path).resize((width, height), Image.Resampling.NEAREST).save(path)


def edit_frames(batch: Path, change: Callable[[pd.DataFrame], None]) -> None:
    """Change frames.csv as a table of text, in place."""
    frames = pd.read_csv(batch / "frames.csv", dtype=str, keep_default_na=False)
    change(frames)
    frames.to_csv(batch / "frames.csv", index=False)


def replace_by_npy(batch: Path, values: np.ndarray) -> None:
    """Replace image 7 of the sensor `other` by an array (H, W) in an NPY file."""
    np.save(batch / "other" / "7.npy", values.astype(np.float32))
    edit_frames(batch, lambda f: f.__setitem__("other", f.other.str.replace("other/7.png", "other/7.npy")))


def validated(batch: Path, out: Path | None = None, *, record: bool = True) -> BatchVerdict:
    """The verdict on a batch, by the project's own settings, judged without Great Expectations, which takes seconds.

    Its results are written to `out` without Data Docs.

    That it judges alike is shown in tests/pipeline/test_great_expectations.py.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "check_expectations", check_here)
        patch.setattr(validation, "add_verdict", lambda docs, lines: None)
        return validation.validate_batch(batch, settings(), out, record=record)


def check_here(table: pd.DataFrame, rules: list[Rule], suite_name: str, docs: Path | None = None) -> ExpectationResults:
    """What `check_expectations` finds, by comparisons of our own."""
    broken = broken_rules(table, rules)[["rule", "row"]].astype(int)
    return ExpectationResults(broken.empty, broken, {"name": suite_name})


def quarantined_ids(verdict: BatchVerdict) -> set[str]:
    """Ids of the quarantined frames."""
    return set(verdict.faults.frame_id)
