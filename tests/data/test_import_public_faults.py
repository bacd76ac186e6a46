"""Bad copies of public data sets: named, counted, and a clear stop; with --partial what is sound is used."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from helpers.muses_miniature import write_muses
from helpers.public_datasets import SIZE, WRITERS, import_whole, save_png, whole
from sensorproof.cli import app
from sensorproof.data.batch import read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.importers import PUBLIC, import_public
from sensorproof.errors import BatchError, RejectedError, SensorproofError, UsageError


def run(name: str, source: Path, out: Path, *options: str) -> SensorproofError:
    """Run the command, which must fail and leave no batch; return its error."""
    result = CliRunner().invoke(app, ["import", name, str(source), str(out), "--workers", "1", *options])
    assert isinstance(result.exception, SensorproofError), result.output
    assert "\n" not in str(result.exception)
    assert not out.exists()
    return result.exception


@pytest.fixture
def deliver(tmp_path: Path) -> Path:
    WRITERS["deliver"](tmp_path / "source")
    return tmp_path / "source"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_wrong_root_is_named_with_the_place_to_get_the_data(name: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    error = run(name, tmp_path / "source", tmp_path / "out")
    assert (type(error), error.exit_code) == (UsageError, 2)
    assert re.search("[^,]* is missing$|, .* are missing$", error.fault)
    assert "can be had from https://" in error.fix
    error = run(name, tmp_path / "nowhere", tmp_path / "out")
    assert error.fault == "is not a folder"


def test_a_root_that_is_one_folder_off_is_named(deliver: Path, tmp_path: Path) -> None:
    assert run("deliver", tmp_path, tmp_path / "out").fix == f"give {deliver}"
    assert run("deliver", deliver / "img", tmp_path / "out").fix == f"give {deliver}"


def test_a_part_of_the_data_set_is_no_whole(deliver: Path, tmp_path: Path) -> None:
    shutil.rmtree(deliver / "lidar")
    (deliver / "semantic/cloud/train/MAP_1_point1/000300_semantic_front.png").unlink()
    error = run("deliver", deliver, tmp_path / "out")
    assert (type(error), error.exit_code) == (RejectedError, 4)
    assert "4 of 3983 training frames are there; 4 of 2005 validation frames are there" in error.fault
    assert "12 lidar files are missing, such as lidar/cloud/train/MAP_1_point1/000300_lidar_front.png" in error.fault
    assert "1 label is missing, such as semantic/cloud/train/MAP_1_point1/000300_semantic_front.png" in error.fault
    assert "--partial" in error.fix
    listed = pd.read_csv(tmp_path / "out.problems.csv")
    assert listed.part.value_counts().to_dict() == {"lidar": 12, "label": 1}
    assert not list(tmp_path.glob(".*"))  # nothing was read


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


STEM = "night/val/MAP_2_point8_eventlowres/000310"
FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("lidar", lambda root: truncate(root / f"lidar/{STEM}_lidar_front.png"), "lidar_front.png is not a whole image"),
    ("camera", lambda root: (root / f"img/{STEM}_rgb_front.png").write_bytes(b""), "is not a whole image"),
    ("label", lambda root: truncate(root / f"semantic/{STEM}_semantic_front.png"), "1 label is faulty, such as"),
    (
        "label",
        lambda root: save_png(root / f"semantic/{STEM}_semantic_front.png", np.full(SIZE, 26, np.uint8)),
        "has labels [26] outside the classes",
    ),
    (
        "label",
        lambda root: save_png(root / f"semantic/{STEM}_semantic_front.png", np.full((9, 9), 1, np.uint8)),
        f"is 9 x 9, the reference {SIZE[0]} x {SIZE[1]}",
    ),
    (
        "depth",
        lambda root: save_png(root / f"hha/{STEM}_depth_front.png", np.ones((9, 9, 3), np.uint8)),
        f"is 9 x 9, the camera's image {SIZE[0]} x {SIZE[1]}",
    ),
    (
        "depth",
        lambda root: save_png(root / f"hha/{STEM}_depth_front.png", np.ones((*SIZE, 2), np.uint8)),
        "has 2 channels, batch.yaml takes number 2",
    ),
]


@pytest.mark.parametrize(("part", "edit", "fault"), FAULTS)
def test_a_faulty_file_in_the_middle_stops_the_import(
    part: str, edit: Callable[[Path], object], fault: str, deliver: Path, tmp_path: Path
) -> None:
    edit(deliver)
    with pytest.raises(RejectedError) as raised:
        import_whole("deliver", tmp_path)
    assert fault in raised.value.fault
    assert f"1 {part}" in raised.value.fault
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("part", "edit", "fault"), FAULTS)
def test_what_is_sound_is_used_with_partial(
    part: str, edit: Callable[[Path], object], fault: str, deliver: Path, tmp_path: Path
) -> None:
    edit(deliver)
    (deliver / "event/cloud/train/MAP_1_point1/000300_event_front.png").unlink()
    summary = import_whole("deliver", tmp_path, partial=True)
    assert (summary.missing, summary.faulty) == ({"event": 1}, {part: 1})
    assert summary.frames == {"train": 4, "val": 4, "test": 4}
    batch = read_batch(tmp_path / "out")
    row = batch.frames.set_index("frame_id").loc["night-MAP_2_point8_eventlowres-000310"]
    assert row[part] == ""
    assert (row[["camera", "depth", "event", "lidar", "label"]] != "").sum() == 4
    assert all(not load_frame(batch, k)[1] for k in range(len(batch.frames)))
    listed = pd.read_csv(tmp_path / "out/problems.csv")
    assert sorted(listed.part) == sorted(["event", part])
    assert any(f"1 {'label' if part == 'label' else part}" in line for line in summary.lines(Path("out")))


def test_after_a_repair_only_the_repaired_frame_is_read_again(deliver: Path, tmp_path: Path) -> None:
    path = deliver / f"lidar/{STEM}_lidar_front.png"
    sound = path.read_bytes()
    truncate(path)
    with pytest.raises(RejectedError):
        import_whole("deliver", tmp_path)
    path.write_bytes(sound)
    reports: list[tuple[int, int]] = []
    import_public(whole("deliver"), deliver, tmp_path / "out", report=lambda done, total: reports.append((done, total)))
    assert reports == [(11, 12), (12, 12)]
    assert not (tmp_path / "out.problems.csv").exists()


def test_raw_files_that_are_not_whole_are_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_muses(source, 5)
    places = [next(source.glob(f"{folder}/train/*/*/*")) for folder in ("event_camera", "lidar", "radar")]
    for path in places[:2]:
        path.write_bytes(path.read_bytes()[:-13])
    save_png(places[2], np.ones((50, 100), np.uint8))
    with pytest.raises(RejectedError) as raised:
        import_whole("muses", tmp_path)
    for words in ("is not a whole file of events", "is not a whole list of points of 6", "is not a polar picture"):
        assert words in raised.value.fault


def test_a_path_of_the_data_set_cannot_leave_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_muses(source, 5)
    save_png(tmp_path / "secret.png", np.ones((27, 48, 3), np.uint8))
    meta = json.loads((source / "meta.json").read_text())
    next(iter(meta.values()))["path_to_frame_camera"] = "../secret.png"
    (source / "meta.json").write_text(json.dumps(meta))
    summary = import_whole("muses", tmp_path, partial=True)
    assert summary.faulty["camera"] == 1
    assert "leaves the folder" in (tmp_path / "out/problems.csv").read_text()
    assert "secret" not in (tmp_path / "out/frames.csv").read_text()


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda text: "{", "is not that of MUSES"),
        (lambda text: text.replace('"train"', '"practice"'), "split"),
        (lambda text: text.replace('"weather"', '"climate"'), "weather"),
        (lambda text: "[1]", "is not that of MUSES"),
    ],
)
def test_a_faulty_meta_json_is_named(edit: Callable[[str], str], fault: str, tmp_path: Path) -> None:
    write_muses(tmp_path / "source", 5)
    path = tmp_path / "source/meta.json"
    path.write_text(edit(path.read_text()))
    with pytest.raises(BatchError, match=fault):
        import_whole("muses", tmp_path)


def test_a_calibration_that_lacks_a_sensor_is_named(tmp_path: Path) -> None:
    write_muses(tmp_path / "source", 5)
    path = tmp_path / "source/calib.json"
    path.write_text(path.read_text().replace("lidar2rgb", "lidar2gnss"))
    with pytest.raises(BatchError, match=r"calib.json: lacks 'lidar2rgb'; get it again from https://muses.ethz.ch"):
        import_whole("muses", tmp_path)


def test_nothing_usable_is_no_batch(tmp_path: Path) -> None:
    WRITERS["fmb"](tmp_path / "source")
    for path in [*(tmp_path / "source/Visible").iterdir(), *(tmp_path / "source/Infrared").iterdir()]:
        path.write_bytes(b"")
    with pytest.raises(BatchError, match="has no frame with a usable sensor"):
        import_whole("fmb", tmp_path, partial=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "names no frame"),
        ("00001D\n00001D\n", "names 00001D twice"),
        ("00005D\n", "names 00005D, as the train list does"),
    ],
)
def test_faulty_lists_are_named(text: str, fault: str, tmp_path: Path) -> None:
    WRITERS["mfnet"](tmp_path / "source")
    if "twice" in fault:
        (tmp_path / "source/train.txt").write_text(text)
    else:
        (tmp_path / "source/train.txt").write_text("00005D\n")
        (tmp_path / "source/val.txt").write_text(text)
    with pytest.raises(BatchError, match=fault):
        import_whole("mfnet", tmp_path)


def test_an_import_after_another_kind_of_import_leaves_nothing_of_it(deliver: Path, tmp_path: Path) -> None:
    stray = tmp_path / ".out.importing/img/cloud/old.png"
    save_png(stray, np.ones((2, 2), np.uint8))
    import_whole("deliver", tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "batch.yaml", "files.csv", "frames.csv", "import.json",
    ]  # fmt: skip


def test_nothing_is_overwritten_unless_forced(deliver: Path, tmp_path: Path) -> None:
    import_whole("deliver", tmp_path)
    with pytest.raises(UsageError, match="holds a batch already"):
        import_whole("deliver", tmp_path)
    (deliver / "lidar/sun/test/MAP_3_point4/000300_lidar_front.png").unlink()
    import_whole("deliver", tmp_path, force=True, partial=True)
    assert (read_batch(tmp_path / "out").frames.lidar == "").sum() == 1
    with pytest.raises(UsageError, match="is inside of"):
        import_public(whole("deliver"), deliver, deliver / "batch")


def test_options_of_the_other_formats_are_refused(tmp_path: Path) -> None:
    error = run("deliver", tmp_path, tmp_path / "out", "--mapping", "x.yaml")
    assert str(error) == "--mapping: is not for deliver; leave it out: the data set's layout is known"
    for options in (["--copy"], ["--partial"]):
        result = CliRunner().invoke(app, ["import", "arrays", str(tmp_path), str(tmp_path / "out"), *options])
        assert f"{options[0]}: is not for arrays" in str(result.exception)


def test_raw_events_need_their_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_muses(tmp_path / "source", 5)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ModuleNotFoundError) as raised:
        import_whole("muses", tmp_path)
    assert raised.value.name == "h5py"
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_changed_since_is_noticed(deliver: Path, tmp_path: Path) -> None:
    from sensorproof.data.source_files import check_source

    import_whole("deliver", tmp_path)
    batch = read_batch(tmp_path / "out")
    check_source(batch)
    path = deliver / "img/cloud/train/MAP_1_point1/000300_rgb_front.png"
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
    with pytest.raises(BatchError, match="1 of its 60 files are gone or changed since the import, such as img/cloud"):
        check_source(batch)
    shutil.rmtree(deliver)
    with pytest.raises(BatchError, match=r"out.source: names .* which is no folder"):
        read_batch(tmp_path / "out")
