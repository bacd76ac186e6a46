"""No place, and no sequence, on two sides of a split; old frames stay where they were."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof.data.batch import Batch, BatchInfo
from sensorproof.data.splits import assign_splits, describe_changes
from sensorproof.settings import SplitSettings

SETTINGS = SplitSettings(val=0.2, test=0.2, seed=0)


def make_batch(name: str, sites: list[str], sequences: int = 4, frames: int = 3, start: float = 0.0) -> Batch:
    sensor = {"kind": "camera", "channels": 1, "range": [0, 1], "nodata": None}
    sensor |= {"max_time_offset_s": 0.1, "calibration": None}
    classes = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    document = {"name": name, "classes": classes, "ignore_index": 255, "reference": "one"}
    info = BatchInfo.model_validate(document | {"sensors": {"one": sensor, "two": sensor}})
    rows = [(site, f"{site}-{q}") for site in sites for q in range(sequences) for _ in range(frames)]
    table = pd.DataFrame(rows, columns=["site", "sequence"])
    times = start + np.arange(len(table), dtype=float)
    table = table.assign(frame_id=[f"{name}-{i}" for i in range(len(table))], condition="", label="x", split="")
    for sensor_name in ("one", "two"):
        table[sensor_name], table[f"{sensor_name}_time"] = "x", times
    return Batch(Path(name), info, table)


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 50))
def test_groups_stay_whole_and_training_is_never_empty(sites: int, sequences: int, seed: int) -> None:
    batch = make_batch("one", [f"s{i}" for i in range(sites)], sequences)
    (split,) = assign_splits([batch], SplitSettings(val=0.2, test=0.2, seed=seed))
    group = batch.frames.site if sites >= 3 else batch.frames.sequence
    assert (split.groupby(group).nunique() == 1).all()
    assert (split == "train").any()
    if group.nunique() >= 3:
        assert set(split) == {"train", "val", "test"}


def test_shares_come_out_about_right() -> None:
    batch = make_batch("one", [f"s{i}" for i in range(10)])
    (split,) = assign_splits([batch], SETTINGS)
    assert split.value_counts(normalize=True).to_dict() == {"train": 0.6, "val": 0.2, "test": 0.2}


def test_a_later_batch_moves_no_old_frame_and_keeps_known_sites_where_they_are() -> None:
    first = make_batch("zebra", ["a", "b", "c", "d", "e"])
    (alone,) = assign_splits([first], SETTINGS)
    later = make_batch("antelope", ["a", "b", "c", "d", "e", "f"], start=1e6)
    new, old = assign_splits([later, first], SETTINGS)
    assert old.tolist() == alone.tolist()
    for site in "abcde":
        assert set(new[later.frames.site == site]) == set(alone[first.frames.site == site])


def test_a_split_column_decides() -> None:
    batch = make_batch("one", ["a", "b", "c"])
    batch.frames["split"] = ["val"] * len(batch.frames)
    (split,) = assign_splits([batch], SETTINGS)
    assert set(split) == {"val"}


@pytest.mark.parametrize(("sequences", "expected"), [(1, {"train"}), (2, {"train", "test"})])
def test_few_sequences_train_first(sequences: int, expected: set[str]) -> None:
    (split,) = assign_splits([make_batch("one", ["a"], sequences)], SETTINGS)
    assert set(split) == expected


def test_frames_without_labels_neither_count_nor_bind_a_place() -> None:
    old = make_batch("old", ["a", "b", "c", "d", "e"])
    old.frames["label"] = ""
    labelled = make_batch("new", ["a", "b", "c", "d", "e"], start=1e6)
    (alone,) = assign_splits([labelled], SETTINGS)
    before, after = assign_splits([old, labelled], SETTINGS)
    assert set(before) == {"train"}
    assert after.tolist() == alone.tolist()
    part = make_batch("part", ["a", "b", "c", "d", "e"])
    part.frames.loc[part.frames.site.isin(["a", "b"]), "label"] = ""
    (split,) = assign_splits([part], SETTINGS)
    assert {s: set(v) for s, v in split.groupby(part.frames.label != "")} == {
        False: {"train"},
        True: {"train", "val", "test"},
    }


def official(frames: int, splits: list[str]) -> Batch:
    """A batch of single-site blocks with official splits."""
    batch = make_batch("one", ["all"], len(splits), frames)
    batch.frames["split"] = [split for split in splits for _ in range(frames)]
    return Batch(batch.root, batch.info.model_copy(update={"official_splits": True}), batch.frames)


def test_whole_official_splits_are_kept() -> None:
    batch = official(3, ["train", "train", "val", "test"])
    (split,) = assign_splits([batch], SETTINGS)
    assert split.tolist() == batch.frames.split.tolist()
    assert describe_changes([batch], [split]) == []


def test_a_missing_validation_part_is_made_of_whole_training_groups() -> None:
    batch = official(3, ["train"] * 10 + ["test"] * 2)
    (split,) = assign_splits([batch], SETTINGS)
    assert (split.groupby(batch.frames.sequence).nunique() == 1).all()
    assert split.value_counts().to_dict() == {"train": 24, "val": 6, "test": 6}
    assert (split[batch.frames.split == "test"] == "test").all()
    (line,) = describe_changes([batch], [split])
    assert line == "one: 6 frames of its train split serve as val, as it has no labelled frame for val"
    (again,) = assign_splits([batch], SETTINGS)
    assert again.tolist() == split.tolist()


def test_withheld_test_labels_make_the_validation_part_the_test() -> None:
    batch = official(3, ["train"] * 5 + ["val"] * 2 + ["test"] * 2)
    batch.frames.loc[batch.frames.split == "test", "label"] = ""
    (split,) = assign_splits([batch], SETTINGS)
    assert (split[batch.frames.split == "val"] == "test").all()
    assert (split == "val").sum() == 3
    assert (batch.frames.split[split == "val"] == "train").all()
    assert len(describe_changes([batch], [split])) == 2


def test_a_split_column_of_ones_own_is_not_completed() -> None:
    batch = official(3, ["train"] * 5 + ["test"])
    plain = Batch(batch.root, batch.info.model_copy(update={"official_splits": False}), batch.frames)
    (split,) = assign_splits([plain], SETTINGS)
    assert split.tolist() == batch.frames.split.tolist()


def test_a_later_batch_does_not_change_completed_splits() -> None:
    batch = official(3, ["train"] * 10 + ["test"] * 2)
    (alone,) = assign_splits([batch], SETTINGS)
    later = make_batch("antelope", ["a", "b", "c", "d"], start=1e6)
    _, old = assign_splits([later, batch], SETTINGS)
    assert old.tolist() == alone.tolist()
