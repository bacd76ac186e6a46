"""Faulty input, from its files to the ledger: a reason or one clear error, never a traceback or a missing frame."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from helpers.fault_batches import (
    FRAMES,
    edit_frames,
    quarantined_ids,
    replace_by_npy,
    resize_image,
    shift_images,
    validated,
)
from helpers.synthetic_scenes import SIZE, make_frame
from sensorproof.data.quarantine import read_ledger

HALF, DOUBLE = (96, 72), (384, 288)
"""Width and height of smaller and larger images."""


def truncate(batch: Path) -> None:
    path = batch / "other" / "7.png"
    path.write_bytes(path.read_bytes()[:-200])


def remove(batch: Path) -> None:
    (batch / "other" / "7.png").unlink()


def resize(batch: Path) -> None:
    resize_image(batch / "other" / "7.png", *HALF)


def add_holes(batch: Path) -> None:
    image = make_frame(7).images["other"][0]
    image[: len(image) // 2] = np.nan
    replace_by_npy(batch, image)


def make_infinite(batch: Path) -> None:
    replace_by_npy(batch, np.full(SIZE, np.inf))


def add_absurd_values(batch: Path) -> None:
    image = make_frame(7).images["other"][0]
    image[0, :2] = 3.4e38, -3.4e38
    image[:72] = np.nan
    replace_by_npy(batch, image)


def resize_label(batch: Path) -> None:
    resize_image(batch / "label" / "7.png", *HALF)


def repeat_image(batch: Path) -> None:
    (batch / "other" / "7.png").write_bytes((batch / "other" / "2.png").read_bytes())


def add_unknown_ids(batch: Path) -> None:
    path = batch / "label" / "7.png"
    label = np.array(Image.open(path))
    label[:5] = 200
    Image.fromarray(label).save(path)


def set_time_back(batch: Path) -> None:
    def change(frames: pd.DataFrame) -> None:
        for sensor in ("camera", "other"):
            frames.loc[7, f"{sensor}_time"] = str(float(frames.loc[5, f"{sensor}_time"]))

    edit_frames(batch, change)


def remove_sensors(batch: Path) -> None:
    columns = ["camera", "camera_time", "other", "other_time"]
    edit_frames(batch, lambda f: f.loc.__setitem__((7, columns), ""))


@pytest.mark.parametrize(
    ("spoil", "measure", "words"),
    [
        (truncate, "unreadable", "not a whole image"),
        (remove, "unreadable", "is missing"),
        (resize, "wrong_size", "another size"),
        (add_holes, "invalid_excess", "holes"),
        (make_infinite, "invalid_share", "no valid pixels"),
        (add_unknown_ids, "label_unknown_share", "ids that are not classes"),
        (add_absurd_values, "invalid_excess", "holes"),
        (resize_label, "wrong_size", "for a label, than the reference"),
        (repeat_image, "repeated", "identical to the image of another frame"),
        (set_time_back, "time_step_s", "backwards"),
        (remove_sensors, "sensors", "and all other sensors have no file"),
    ],
)
def test_a_faulty_frame_has_a_reason_in_the_ledger(
    batch: Path, spoil: Callable[[Path], None], measure: str, words: str
) -> None:
    spoil(batch)
    verdict = validated(batch, Path("out"))
    assert not verdict.refused, verdict.reasons
    entries = [e for e in read_ledger(Path("data/quarantine")) if e.measure == measure]
    assert {e.frame_id for e in entries} == {"f0007"}
    assert words in entries[0].reason
    assert set(pd.read_csv("out/measures.csv").frame_id) == {f"f{k:04d}" for k in range(FRAMES)}


def test_a_timestamp_that_jumps_ahead_quarantines_its_own_frame_only(batch: Path) -> None:
    def change(frames: pd.DataFrame) -> None:
        for sensor in ("camera", "other"):
            frames.loc[4, f"{sensor}_time"] = str(float(frames.loc[4, f"{sensor}_time"]) + 1000)

    edit_frames(batch, change)
    assert quarantined_ids(validated(batch)) == {"f0004"}


def test_absurd_values_and_timestamps_are_found_without_a_warning_of_numpy(batch: Path) -> None:
    add_absurd_values(batch)
    edit_frames(batch, lambda f: f.__setitem__("other_time", ["1e300", *f.other_time[1:]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        verdict = validated(batch)
    assert {"f0000", "f0007"} <= quarantined_ids(verdict)
    assert not any("values outside its range" in w for w in verdict.warnings), "two pixels are too few"


def test_values_outside_the_range_are_a_warning(batch: Path) -> None:
    image = make_frame(7).images["other"][0]
    image[:4] += 300
    replace_by_npy(batch, image)
    verdict = validated(batch)
    assert (verdict.exit_code, verdict.quarantined) == (0, 0)
    assert any("other: has values outside its range in 1 frame" in w for w in verdict.warnings)


def test_a_frame_of_another_scene_is_a_warning_if_all_others_register(batch: Path) -> None:
    """Noise cannot be registered, which has many possible causes."""
    replace_by_npy(batch, np.random.default_rng(0).uniform(1, 254, SIZE))
    verdict = validated(batch)
    assert any("other: cannot be registered" in w for w in verdict.warnings)
    assert "1 of 16 frames are unmeasurable by themselves" in verdict.pairs["other"].reason


def test_a_repeated_image_of_the_reference_is_the_one_in_quarantine(batch: Path) -> None:
    """It is the earlier of the two, because neither its other sensor nor its label registers."""
    (batch / "camera" / "2.png").write_bytes((batch / "camera" / "6.png").read_bytes())
    verdict = validated(batch)
    assert quarantined_ids(verdict) == {"f0002"}
    assert set(verdict.faults.sensor) <= {"camera", "other", "label"}
    assert "repeated" in set(verdict.faults.measure)


def test_one_reference_image_of_double_size_does_not_double_the_rigs_displacement(batch: Path) -> None:
    resize_image(batch / "camera" / "0.png", *DOUBLE)
    resize_image(batch / "label" / "0.png", *DOUBLE)
    shift_images(batch, range(FRAMES), 1)
    verdict = validated(batch)
    assert not verdict.refused, verdict.reasons
    assert verdict.pairs["other"].corner_px == pytest.approx(1, abs=0.4)
    assert {(f.sensor, f.measure) for f in verdict.faults.itertuples()} == {("camera", "wrong_size")}


def test_images_of_many_sizes_do_not_make_a_pair_unmeasurable(batch: Path) -> None:
    rng = np.random.default_rng(0)
    for k, (width, height) in enumerate([(96, 72), (100, 80), (120, 90), (128, 96)]):
        noise = rng.integers(1, 254, (height, width), dtype=np.uint8)
        Image.fromarray(noise).save(batch / "other" / f"{k}.png")
    shift_images(batch, range(8, 9), 8)
    verdict = validated(batch, record=False)
    assert verdict.pairs["other"].state == "aligned"
    assert "f0008" in quarantined_ids(verdict)


def test_a_label_must_have_the_size_of_its_own_frames_reference(batch: Path) -> None:
    """A label of another size than its reference's cannot be used for training."""
    resize_image(batch / "camera" / "5.png", *DOUBLE)
    verdict = validated(batch)
    wrong = {(f.frame_id, f.sensor) for f in verdict.faults.itertuples() if f.measure == "wrong_size"}
    assert wrong == {("f0005", "camera"), ("f0005", "label")}
    edit_frames(batch, lambda f: f.loc.__setitem__((slice(None), ["camera", "camera_time"]), ""))
    assert "wrong_size" not in set(validated(batch, record=False).faults.measure)


def test_a_stopped_recording_is_a_warning(batch: Path) -> None:
    for sensor in ("camera", "other"):
        (batch / sensor / "7.png").write_bytes((batch / sensor / "6.png").read_bytes())
    verdict = validated(batch)
    assert verdict.exit_code == 0
    assert any("all other sensors repeat an earlier frame in 1 frame" in w for w in verdict.warnings)


@pytest.mark.parametrize("size", [HALF, DOUBLE])
def test_a_first_frame_of_another_size_does_not_make_the_pair_unmeasurable(batch: Path, size: tuple[int, int]) -> None:
    for folder in ("camera", "other", "label"):
        resize_image(batch / folder / "0.png", *size)
    shift_images(batch, range(3, 4), 8)
    verdict = validated(batch)
    assert quarantined_ids(verdict) == {"f0000", "f0003"}
    assert {sensor: pair.state for sensor, pair in verdict.pairs.items()} == {"other": "aligned", "label": "aligned"}


def test_timestamps_in_nanoseconds_refuse_the_batch(batch: Path) -> None:
    def change(frames: pd.DataFrame) -> None:
        for column in ("camera_time", "other_time"):
            frames[column] = [str(round(float(t) * 1e9)) for t in frames[column]]

    edit_frames(batch, change)
    verdict = validated(batch)
    assert verdict.exit_code == 4
    assert any("times are not in seconds" in reason for reason in verdict.reasons)


def test_a_sensor_without_calibration_is_a_warning(batch: Path) -> None:
    document = yaml.safe_load((batch / "batch.yaml").read_text())
    document["sensors"]["other"]["calibration"] = None
    (batch / "batch.yaml").write_text(yaml.safe_dump(document))
    verdict = validated(batch)
    assert verdict.exit_code == 0
    assert any("other: the sensor has no calibration" in w for w in verdict.warnings)
