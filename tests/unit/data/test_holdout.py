"""The hash of the hold-out changes with what a score on it depends on, and with nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.project_artifacts import write_prepared
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.holdout import frame_names, hash_holdout

VAL, TEST = 3, 6
"""Rows of frames."""


def change_pixel(root: Path, name: str, row: int) -> None:
    array = np.load(root / f"{name}.npy")
    array[row, ..., 0, 0] = 1 - array[row, ..., 0, 0]
    np.save(root / f"{name}.npy", array)


def change_table(root: Path, row: int, column: str, value: object) -> None:
    table = pd.read_csv(root / "frames.csv", keep_default_na=False)
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    table.to_csv(root / "frames.csv", index=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_prepared(tmp_path)
    return tmp_path


def test_frames_are_named_by_batch_and_id(root: Path) -> None:
    assert frame_names(PreparedDataset(root)) == tuple(f"b/{i}" for i in range(4, 12))


def test_the_hash_is_the_same_in_another_place(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    write_prepared(other)
    assert hash_holdout(PreparedDataset(root)) == hash_holdout(PreparedDataset(other))


def test_other_splits_do_not_change_it(root: Path) -> None:
    before = hash_holdout(PreparedDataset(root))
    for name in ("camera", "depth", "label"):
        change_pixel(root, name, VAL)
    assert hash_holdout(PreparedDataset(root)) == before


@pytest.mark.parametrize("name", ["camera", "depth", "label"])
def test_one_pixel_of_a_test_frame_changes_it(root: Path, name: str) -> None:
    before = hash_holdout(PreparedDataset(root))
    change_pixel(root, name, TEST)
    assert hash_holdout(PreparedDataset(root)) != before


@pytest.mark.parametrize(("column", "value"), [("split", "train"), ("frame_id", "x"), ("present_depth", False)])
def test_another_table_changes_it(root: Path, column: str, value: object) -> None:
    before = hash_holdout(PreparedDataset(root))
    change_table(root, TEST, column, value)
    assert hash_holdout(PreparedDataset(root)) != before


def test_a_frame_in_quarantine_is_left_out(root: Path) -> None:
    before = hash_holdout(PreparedDataset(root))
    quarantined = root.parent / "quarantined.csv"
    quarantined.write_text(f"batch,frame_id\nb,{TEST}\n")
    data = PreparedDataset(root, quarantined)
    assert len(frame_names(data)) == 7
    assert hash_holdout(data) != before
