"""Sensors and classes that cannot be learnt or scored are named before anything is trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.batches import edit_frames, edit_info, make_batch
from sensorproof.data.batch import read_batch
from sensorproof.data.prepare import prepare
from sensorproof.data.split_checks import check_classes, check_sensors
from sensorproof.errors import SensorproofError
from sensorproof.settings import DataSettings, SplitSettings

SPLIT_OF = ("train", "train", "val", "test")
"""Of the four sequences of `make_batch`, two frames each."""


def settings_of(raw: Path) -> DataSettings:
    split = SplitSettings(val=0.2, test=0.2, seed=0)
    return DataSettings(
        raw=str(raw), inbox="", quarantine="", size=[12, 16], standardize="dataset", full_resolution=False, split=split
    )


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A sound batch whose splits are fixed."""
    root = make_batch(tmp_path / "raw/yard")
    edit_frames(root, lambda rows: [row.update(split=SPLIT_OF[i // 2]) for i, row in enumerate(rows)])
    return root


def remove_sensor(root: Path, sensor: str, splits: tuple[str, ...]) -> None:
    """Empty the sensor's cells in some splits."""

    def change(rows: list[dict[str, str]]) -> None:
        for row in rows:
            if row["split"] in splits:
                row[sensor] = row[f"{sensor}_time"] = ""

    edit_frames(root, change)


def test_a_sound_batch_passes(batch: Path, tmp_path: Path) -> None:
    _, _, warnings = prepare(settings_of(batch.parent), tmp_path / "out")
    assert warnings == []


@pytest.mark.parametrize(
    ("splits", "fault"),
    [
        (("train",), "lidar is in no training frame"),
        (("val",), "lidar is in no validation frame"),
        (("test",), "lidar is in no test frame"),
        (("val", "test"), "lidar is in no validation and no test frame"),
        (("train", "val", "test"), "lidar is in no labelled frame"),
    ],
)
def test_a_sensor_that_a_split_lacks_is_named(batch: Path, tmp_path: Path, splits: tuple[str, ...], fault: str) -> None:
    remove_sensor(batch, "lidar", splits)
    with pytest.raises(SensorproofError, match=f"{fault}; give frames with it") as caught:
        prepare(settings_of(batch.parent), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_all_sensors_at_fault_are_named_at_once(batch: Path, tmp_path: Path) -> None:
    remove_sensor(batch, "lidar", ("test",))
    remove_sensor(batch, "thermal", ("train",))
    with pytest.raises(SensorproofError, match="lidar is in no test frame; thermal is in no training frame"):
        prepare(settings_of(batch.parent), tmp_path / "out")


def test_a_frame_with_a_fault_does_not_count(tmp_path: Path) -> None:
    frames = pd.DataFrame({"split": ["train", "val", "test"], "labelled": True, "present_lidar": True, "fault": ""})
    check_sensors("raw", frames, ["lidar"])
    frames.loc[0, "fault"] = "is truncated"
    with pytest.raises(SensorproofError, match="lidar is in no training frame"):
        check_sensors("raw", frames, ["lidar"])


def rewrite_labels(root: Path, values: dict[int, int], frames: range = range(8)) -> None:
    """Replace values in the labels of some frames."""
    for number in frames:
        path = root / f"label/f{number:03d}.png"
        label = np.asarray(Image.open(path)).copy()
        for old, new in values.items():
            label[np.asarray(Image.open(path)) == old] = new
        Image.fromarray(label).save(path)


def test_a_mask_of_0_and_255_is_not_scored_as_perfect(batch: Path, tmp_path: Path) -> None:
    """The object is 255, and so is ignore_index: only the background would be seen."""
    edit_info(batch, lambda info: info.update(classes=[{"id": 0, "name": "ground"}, {"id": 1, "name": "object"}]))
    rewrite_labels(batch, {3: 255})
    with pytest.raises(SensorproofError, match="fewer than two classes: class 'object' has no pixel in any label") as e:
        prepare(settings_of(batch.parent), tmp_path / "out")
    assert "% of the label pixels are 255, which is ignore_index: if that is the class" in str(e.value)


def test_a_class_that_only_other_splits_show_is_named(batch: Path, tmp_path: Path) -> None:
    edit_info(batch, lambda info: info["classes"].append({"id": 7, "name": "pole"}))
    rewrite_labels(batch, {3: 7}, range(6, 8))
    _, _, warnings = prepare(settings_of(batch.parent), tmp_path / "out")
    assert warnings == ["class 'pole' has no pixel in the training labels, only in others: it cannot be learnt"]


def test_a_class_that_no_label_shows_is_named(batch: Path) -> None:
    edit_info(batch, lambda info: info["classes"].append({"id": 7, "name": "pole"}))
    counts = {split: np.bincount([0, 3, 3], minlength=256) for split in ("train", "val", "test")}
    assert check_classes("raw", read_batch(batch).info, counts) == ["class 'pole' has no pixel in any label"]


def copy_frame(root: Path, source: int, target: int) -> None:
    """Make one frame show what another shows, in files of another compression."""
    for sensor, ending in (("camera", "png"), ("thermal", "png"), ("lidar", "npy")):
        first, second = (root / f"{sensor}/f{number:03d}.{ending}" for number in (source, target))
        if ending == "npy":
            np.save(second, np.load(first).astype(np.float32))
        else:
            Image.open(first).save(second, compress_level=1)


def test_a_frame_in_two_splits_under_two_names_is_refused(batch: Path, tmp_path: Path) -> None:
    copy_frame(batch, 0, 7)
    fault = r"in more than one split, such as 'f000' of yard \(train\) and 'f007' of yard \(test\) \(1 in all\)"
    with pytest.raises(SensorproofError, match=fault):
        prepare(settings_of(batch.parent), tmp_path / "out")


def test_a_copy_in_the_same_split_is_a_warning(batch: Path, tmp_path: Path) -> None:
    copy_frame(batch, 0, 3)
    _, _, warnings = prepare(settings_of(batch.parent), tmp_path / "out")
    assert warnings == ["the same frame is there more than once, such as 'f000' (1 in all)"]
