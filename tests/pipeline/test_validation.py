"""A batch validated from its files to the ledger: what is left behind, what is remembered, and what bad input gets."""

import html
import json
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from scenes import ROOT, make_frame, settings, write_files
from sensorproof.alignment import contact_sheet
from sensorproof.alignment.verdict import Verdict
from sensorproof.cli import main
from sensorproof.data.quarantine import LEDGER, read_ledger, standing
from sensorproof.errors import BatchError
from sensorproof.validation import note, validate_batch

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


def validated(batch: Path, **options: bool) -> Verdict:
    return validate_batch(batch, settings(), **options)


def ids(verdict: Verdict) -> set[str]:
    return set(verdict.faults.frame_id)


def command(*arguments: str) -> int:
    """Run `sensorproof …` in this process and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sensorproof", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    return int(left.value.code or 0)


def test_a_sound_batch_passes_and_leaves_no_ledger(batch: Path) -> None:
    verdict = validated(batch)
    assert (verdict.exit_code, verdict.quarantined, verdict.reasons, verdict.warnings) == (0, 0, (), ())
    assert {p.sensor: p.state for p in verdict.pairs} == {"other": "aligned", "label": "aligned"}
    assert not Path("data/quarantine", LEDGER).exists()


def test_frames_at_fault_go_to_the_ledger_once_and_raw_data_stays(batch: Path) -> None:
    shift_files(batch, range(3, 6), 8)
    before = {p: p.read_bytes() for p in batch.rglob("*") if p.is_file()}
    verdict = validated(batch)
    assert ids(verdict) == {"f0003", "f0004", "f0005"}
    entries = read_ledger(Path("data/quarantine"))
    assert {(e.action, e.batch, e.frame_id, e.sensor) for e in entries} == {
        ("quarantined", "made", f, "other") for f in ids(verdict)
    }
    one = next(e for e in entries if e.measure == "deviation_px")
    assert float(one.value) == pytest.approx(8, abs=0.3)
    assert float(one.threshold) == 2
    assert one.time.endswith("+00:00")
    assert validated(batch).to_json() == verdict.to_json()
    assert read_ledger(Path("data/quarantine")) == entries
    assert {p: p.read_bytes() for p in batch.rglob("*") if p.is_file()} == before


def test_a_release_is_respected_and_recorded(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shift_files(batch, range(3, 6), 8)
    assert command("validate", "made") == 3
    assert command("quarantine", "release", "made", "f0003", "--reason", "looked at it", "--by", "ada") == 0
    verdict = validated(batch)
    assert ids(verdict) == {"f0004", "f0005"}
    assert (verdict.quarantined, verdict.released) == (2, 1)
    released = [e for e in read_ledger(Path("data/quarantine")) if e.action == "released"]
    assert {(e.frame_id, e.reason, e.by) for e in released} == {("f0003", "looked at it", "ada")}
    capsys.readouterr()
    assert command("quarantine", "list", "made") == 0
    listed = capsys.readouterr().out
    assert "f0004" in listed
    assert "f0003" not in listed
    assert command("quarantine", "list", "--history") == 0
    assert "f0003" in capsys.readouterr().out


def test_what_no_longer_fails_is_cleared(batch: Path) -> None:
    keep = (batch / "other" / "3.png").read_bytes()
    shift_files(batch, range(3, 4), 8)
    validated(batch)
    (batch / "other" / "3.png").write_bytes(keep)
    assert validated(batch).quarantined == 0
    entries = read_ledger(Path("data/quarantine"))
    assert [e.action for e in entries if e.frame_id == "f0003"][-1] == "cleared"
    assert standing(entries) == []


def test_a_release_ends_when_the_fault_gets_worse_or_goes(batch: Path) -> None:
    keep = (batch / "other" / "3.png").read_bytes()
    shift_files(batch, range(3, 4), 5)
    validated(batch)
    assert command("quarantine", "release", "made", "f0003", "--reason", "looked at it") == 0
    assert validated(batch).released == 1
    shift_files(batch, range(3, 4), 5)
    assert ids(validated(batch)) == {"f0003"}
    assert {e.frame_id for e in standing(read_ledger(Path("data/quarantine")))} == {"f0003"}
    assert command("quarantine", "release", "made", "f0003", "--reason", "and again") == 0
    (batch / "other" / "3.png").write_bytes(keep)
    assert validated(batch).released == 0
    shift_files(batch, range(3, 4), 5)
    assert ids(validated(batch)) == {"f0003"}, "a release of what is gone must not let pass what comes later"


def test_a_refused_batch_says_why_and_that_it_was_accepted_later(
    batch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = {p: p.read_bytes() for p in (batch / "other").iterdir()}
    shift_files(batch, range(FRAMES), 4)
    assert command("validate", "made", "--json", "verdict.json") == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: made: is refused: other: the sensor is off in all frames alike")
    assert "\n" not in error
    document = json.loads(Path("verdict.json").read_text())
    assert (document["decision"], document["pairs"]["other"]["state"]) == ("refused", "misaligned")
    for path, content in keep.items():
        path.write_bytes(content)
    assert command("validate", "made", "--json", "verdict.json") == 0
    assert json.loads(Path("verdict.json").read_text())["decision"] == "accepted"
    assert [e.action for e in read_ledger(Path("data/quarantine")) if not e.frame_id] == ["refused", "accepted"]


def test_results_are_written_whole(batch: Path) -> None:
    shift_files(batch, range(3, 5), 8)
    verdict = validate_batch(batch, settings(), Path("out"), record=False)
    out = Path("out")
    assert {p.name for p in out.iterdir()} == {
        "verdict.json", "measures.csv", "quarantined.csv", "suite.json", "contact_sheet.png", "docs",
    }  # fmt: skip
    assert json.loads((out / "verdict.json").read_text()) == json.loads(json.dumps(verdict.to_json()))
    measures = pd.read_csv(out / "measures.csv")
    assert measures.frame_id.nunique() == FRAMES
    state = measures.set_index(["sensor", "frame_id"]).state
    assert state["other", "f0003"] == "misaligned"
    aside = pd.read_csv(out / "quarantined.csv")
    assert list(aside.columns) == ["batch", "frame_id", "sensor", "measure", "value", "threshold", "reason"]
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 900
        assert len(sheet.convert("RGB").getcolors(2**24) or []) > 500
    assert not Path("data").exists()


def test_the_data_docs_begin_with_the_verdict(batch: Path) -> None:
    shift_files(batch, range(3, 5), 8)
    verdict = validate_batch(batch, settings(), Path("out"), record=False)
    index = Path("out/docs/index.html").read_text()
    for line in verdict.lines():
        assert html.escape(line) in index
    page = next(Path("out/docs/validations").rglob("*.html")).read_text()
    assert re.search(r">[78](\.\d+)? beside 2<", page)
    assert not re.search(r"Status:[^\n]*Failed", page)


def truncate(batch: Path) -> None:
    path = batch / "other" / "7.png"
    path.write_bytes(path.read_bytes()[:-200])


def remove(batch: Path) -> None:
    (batch / "other" / "7.png").unlink()


def resize(batch: Path) -> None:
    path = batch / "other" / "7.png"
    Image.open(path).resize((96, 72)).save(path)


def to_npy(batch: Path, values: np.ndarray) -> None:
    np.save(batch / "other" / "7.npy", values.astype(np.float32))
    edit(batch, lambda f: f.__setitem__("other", f.other.str.replace("other/7.png", "other/7.npy")))


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


def test_a_release_is_of_what_the_fault_is_now(batch: Path) -> None:
    """The ledger follows a fault that grows while its frame is set aside, and a release made meanwhile holds."""
    shift_files(batch, range(3, 4), 4)
    validated(batch)
    shift_files(batch, range(3, 4), 6)
    verdict = validated(batch)
    ledger = Path("data/quarantine")
    assert [float(e.value) for e in read_ledger(ledger) if e.measure == "deviation_px"] == pytest.approx(
        [4, 10], abs=0.5
    )
    assert command("quarantine", "release", "made", "f0003", "--reason", "looked at it") == 0
    entries = read_ledger(ledger)
    note(ledger, verdict)  # of a validation that began before the release
    assert read_ledger(ledger) == entries
    assert validated(batch).released == 1


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


def test_few_frames_are_judged_where_their_field_is_certain(batch: Path) -> None:
    edit(batch, lambda f: f.drop(index=range(6, FRAMES), inplace=True))
    assert ids(validated(batch, record=False)) == set()
    shift_files(batch, range(3, 4), 8)
    verdict = validated(batch, record=False)
    assert ids(verdict) == {"f0003"}
    assert "too few to judge a single one's shift" in verdict.pairs[0].reason


def test_a_batch_and_its_folder_have_one_name(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch.rename(batch.with_name("copy"))
    assert command("validate", "copy") == 1
    assert "calls itself 'made'" in capsys.readouterr().err


def test_the_contact_sheet_shows_what_is_set_aside(batch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen image is in place, so that nothing of the registration brings it up."""
    (batch / "other" / "7.png").write_bytes((batch / "other" / "6.png").read_bytes())
    titles: list[str] = []
    compose = contact_sheet.compose
    monkeypatch.setattr(contact_sheet, "compose", lambda name, s: titles.extend(x.title for x in s) or compose(name, s))
    validate_batch(batch, settings(), Path("out"), record=False)
    assert "f0007" in titles[0]
    assert "is frozen" in titles[0]


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


def test_one_frame_only_is_judged_without_others_to_compare_with(batch: Path) -> None:
    edit(batch, lambda f: f.drop(index=range(1, FRAMES), inplace=True))
    verdict = validated(batch)
    assert (verdict.frames, verdict.exit_code) == (1, 0)


def test_what_is_no_batch_is_one_clear_error(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (batch / "frames.csv").write_text("frame_id\n")
    with pytest.raises(BatchError):
        validated(batch)
    assert command("validate", "made") == 1
    assert command("validate", "nowhere") == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 2
    assert all(line.startswith("error: ") for line in errors)
    assert not Path("artifacts").exists()


def test_a_new_batch_is_compared_with_the_training_data(batch: Path) -> None:
    """Against itself under another name there is no drift; with all values scaled there is."""
    raw = Path("data/raw")
    raw.mkdir(parents=True)
    os.system(f"cp -r {batch} {raw / 'first'} && sed -i 's/^name: .*/name: first/' {raw / 'first/batch.yaml'}")
    edit(raw / "first", lambda f: f.__setitem__("sequence", [f"s{k // 2}" for k in range(FRAMES)]))
    edit(batch, lambda f: f.__setitem__("sequence", [f"n{k // 2}" for k in range(FRAMES)]))
    for each in (raw / "first", batch):
        edit(each, lambda f: f.__setitem__("site", f.sequence))
    same = validated(batch, record=False)
    assert same.drift is not None
    assert not same.drift.drifted
    for path in (batch / "other").iterdir():
        pixels = np.asarray(Image.open(path), np.float32)
        Image.fromarray((40 + 0.5 * pixels).astype(np.uint8)).save(path)
    darker = validated(batch, record=False)
    assert darker.drift is not None
    assert darker.drift.drifted
    assert darker.exit_code == 0
    assert any("looks different from the training data" in w for w in darker.warnings)
    assert darker.drift.strongest[0].sensor == "other"
    assert validated(raw / "first", record=False).drift is None
