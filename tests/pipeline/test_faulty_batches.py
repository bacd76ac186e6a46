"""Bad input from its files to the ledger: a reason, or one clear error; never a traceback, never a frame lost."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from helpers.fault_batches import FRAMES, edit, ids, shift_files, to_npy, validated
from helpers.synthetic_scenes import make_frame, settings
from sensorproof.data.quarantine import read_ledger
from sensorproof.validation import validate_batch


def truncate(batch: Path) -> None:
    path = batch / "other" / "7.png"
    path.write_bytes(path.read_bytes()[:-200])


def remove(batch: Path) -> None:
    (batch / "other" / "7.png").unlink()


def resize(batch: Path) -> None:
    path = batch / "other" / "7.png"
    Image.open(path).resize((96, 72)).save(path)


def holes(batch: Path) -> None:
    image = make_frame(7).images["other"][0]
    image[: len(image) // 2] = np.nan
    to_npy(batch, image)


def infinite(batch: Path) -> None:
    to_npy(batch, np.full((144, 192), np.inf))


def absurd(batch: Path) -> None:
    image = make_frame(7).images["other"][0]
    image[0, :2] = 3.4e38, -3.4e38
    image[:72] = np.nan
    to_npy(batch, image)


def small_label(batch: Path) -> None:
    for k in range(FRAMES):
        path = batch / "label" / f"{k}.png"
        if k == 7:
            Image.open(path).resize((96, 72)).save(path)


def stale(batch: Path) -> None:
    (batch / "other" / "7.png").write_bytes((batch / "other" / "2.png").read_bytes())


def jump(batch: Path) -> None:
    def change(frames: pd.DataFrame) -> None:
        for sensor in ("camera", "other"):
            frames.loc[4, f"{sensor}_time"] = str(float(frames.loc[4, f"{sensor}_time"]) + 1000)

    edit(batch, change)


def unknown_ids(batch: Path) -> None:
    path = batch / "label" / "7.png"
    label = np.array(Image.open(path))
    label[:5] = 200
    Image.fromarray(label).save(path)


def backwards(batch: Path) -> None:
    def change(frames: pd.DataFrame) -> None:
        for sensor in ("camera", "other"):
            frames.loc[7, f"{sensor}_time"] = str(float(frames.loc[5, f"{sensor}_time"]))

    edit(batch, change)


def alone(batch: Path) -> None:
    edit(batch, lambda f: f.loc.__setitem__((7, ["camera", "camera_time", "other", "other_time"]), ""))


@pytest.mark.parametrize(
    ("spoil", "measure", "word"),
    [
        (truncate, "unreadable", "not a whole image"),
        (remove, "unreadable", "is missing"),
        (resize, "wrong_size", "another size"),
        (holes, "invalid_excess", "holes"),
        (infinite, "invalid_share", "no valid pixels"),
        (unknown_ids, "label_unknown_share", "no class"),
        (absurd, "invalid_excess", "holes"),
        (small_label, "wrong_size", "label than the reference"),
        (stale, "repeated", "the very image of another frame"),
        (backwards, "time_step_s", "backwards"),
        (alone, "sensors", "no sensor has a file"),
    ],
)
def test_bad_input_is_a_reason_in_the_ledger(
    batch: Path, spoil: Callable[[Path], None], measure: str, word: str
) -> None:
    spoil(batch)
    verdict = validate_batch(batch, settings(), Path("out"))
    assert not verdict.refused, verdict.reasons
    entries = [e for e in read_ledger(Path("data/quarantine")) if e.measure == measure]
    assert {e.frame_id for e in entries} == {"f0007"}
    assert word in entries[0].reason
    assert set(pd.read_csv("out/measures.csv").frame_id) == {f"f{k:04d}" for k in range(FRAMES)}


def test_a_stamp_that_jumps_ahead_costs_its_own_frame_only(batch: Path) -> None:
    jump(batch)
    assert ids(validated(batch)) == {"f0004"}


def test_absurd_values_and_stamps_are_told_without_a_word_from_numpy(batch: Path) -> None:
    absurd(batch)
    edit(batch, lambda f: f.__setitem__("other_time", ["1e300", *f.other_time[1:]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        verdict = validated(batch)
    assert {"f0000", "f0007"} <= ids(verdict)
    assert any("values outside of its range" in w for w in verdict.warnings) is False, "two pixels are no share"


def test_values_outside_of_the_range_are_a_warning(batch: Path) -> None:
    image = make_frame(7).images["other"][0]
    image[:4] += 300
    to_npy(batch, image)
    verdict = validated(batch)
    assert (verdict.exit_code, verdict.quarantined) == (0, 0)
    assert any("other: has values outside of its range in 1 frame" in w for w in verdict.warnings)


def test_a_frame_of_another_scene_is_a_warning_where_all_others_register(batch: Path) -> None:
    """Noise has nothing to be registered by: that it is not sound is all that can be said."""
    to_npy(batch, np.random.default_rng(0).uniform(1, 254, (144, 192)))
    verdict = validated(batch)
    assert any("other: cannot be registered" in w for w in verdict.warnings)
    other = next(p for p in verdict.pairs if p.sensor == "other")
    assert "1 of 16 frames say nothing by themselves" in other.reason


def test_a_stale_reference_image_is_the_one_set_aside(batch: Path) -> None:
    """The earlier of the two: its other sensors and its label do not register."""
    (batch / "camera" / "2.png").write_bytes((batch / "camera" / "6.png").read_bytes())
    verdict = validated(batch)
    assert ids(verdict) == {"f0002"}
    assert set(verdict.faults.sensor) <= {"camera", "other", "label"}
    assert "repeated" in set(verdict.faults.measure)


def test_a_reference_of_double_size_does_not_double_the_rig(batch: Path) -> None:
    """Of the first frame alone, the other sensor's being as ever: one frame is no measure for all."""
    path = batch / "camera" / "0.png"
    Image.open(path).resize((384, 288)).save(path)
    path = batch / "label" / "0.png"
    Image.open(path).resize((384, 288), Image.Resampling.NEAREST).save(path)
    shift_files(batch, range(FRAMES), 1)
    verdict = validated(batch)
    assert not verdict.refused, verdict.reasons
    assert next(p for p in verdict.pairs if p.sensor == "other").corner_px == pytest.approx(1, abs=0.4)
    assert {(f.sensor, f.measure) for f in verdict.faults.itertuples()} == {("camera", "wrong_size")}


def test_strays_of_many_sizes_do_not_silence_a_pair(batch: Path) -> None:
    rng = np.random.default_rng(0)
    for k, size in enumerate([(96, 72), (100, 80), (120, 90), (128, 96)]):
        noise = rng.integers(1, 254, (size[1], size[0]), dtype=np.uint8)
        Image.fromarray(noise).save(batch / "other" / f"{k}.png")
    shift_files(batch, range(8, 9), 8)
    verdict = validated(batch, record=False)
    assert next(p for p in verdict.pairs if p.sensor == "other").state == "aligned"
    assert "f0008" in ids(verdict)


def test_a_label_must_fit_its_own_frames_reference(batch: Path) -> None:
    """Where the reference of a frame is of another size, so must the label be: else no training can use it."""
    path = batch / "camera" / "5.png"
    Image.open(path).resize((384, 288)).save(path)
    verdict = validated(batch)
    assert {(f.frame_id, f.sensor) for f in verdict.faults.itertuples() if f.measure == "wrong_size"} == {
        ("f0005", "camera"), ("f0005", "label")
    }  # fmt: skip
    edit(batch, lambda f: f.loc.__setitem__((slice(None), ["camera", "camera_time"]), ""))
    assert "wrong_size" not in set(validated(batch, record=False).faults.measure)


def test_a_recording_that_stopped_is_a_warning(batch: Path) -> None:
    for sensor in ("camera", "other"):
        (batch / sensor / "7.png").write_bytes((batch / sensor / "6.png").read_bytes())
    verdict = validated(batch)
    assert verdict.exit_code == 0
    assert any("all other sensors repeat an earlier frame in 1 frame" in w for w in verdict.warnings)


@pytest.mark.parametrize("size", [(96, 72), (384, 288)])
def test_a_first_frame_of_another_size_does_not_silence_the_pair(batch: Path, size: tuple[int, int]) -> None:
    for sensor in ("camera", "other"):
        path = batch / sensor / "0.png"
        Image.open(path).resize(size).save(path)
    path = batch / "label" / "0.png"
    Image.open(path).resize(size, Image.Resampling.NEAREST).save(path)
    shift_files(batch, range(3, 4), 8)
    verdict = validated(batch)
    assert ids(verdict) == {"f0000", "f0003"}
    assert {p.sensor: p.state for p in verdict.pairs} == {"other": "aligned", "label": "aligned"}


def test_nanoseconds_refuse_the_batch(batch: Path) -> None:
    def change(frames: pd.DataFrame) -> None:
        for column in ("camera_time", "other_time"):
            frames[column] = [str(round(float(t) * 1e9)) for t in frames[column]]

    edit(batch, change)
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
