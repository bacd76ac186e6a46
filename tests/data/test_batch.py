"""Every claim of batch.yaml and frames.csv is checked; what is wrong is one line: file, fault, fix."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.batches import Edit, edit_frames, edit_info, make_batch, put, remove
from sensorproof.data.batch import read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import BatchError


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return make_batch(tmp_path / "yard")


def fault_of(root: Path) -> str:
    """The one line that reading a faulty batch gives."""
    with pytest.raises(BatchError) as caught:
        read_batch(root)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(root))
    assert line.count("; ") >= 1
    return line


def test_a_right_batch_is_read_as_it_was_written(batch: Path) -> None:
    read = read_batch(batch)
    assert (read.name, list(read.sensors), len(read.frames)) == ("yard", ["camera", "thermal", "lidar"], 8)
    assert read.frames.camera_time.tolist() == list(range(8))
    for index in range(8):
        frame, findings = load_frame(read, index)
        assert findings == []
        assert {n: p.shape for n, p in frame.images.items()} == {
            "camera": (3, 12, 16),
            "thermal": (1, 12, 16),
            "lidar": (2, 12, 16),
        }
        assert frame.label is not None
        assert set(np.unique(frame.label)) == {0, 3, 255}


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (put("name", value="two words"), "name: "),
        (put("name", value=7), "name: "),
        (remove("name"), "name: missing"),
        (put("colour", value=1), "colour: unknown key"),
        (put("classes", value=[{"id": 0, "name": "road"}]), "classes: "),
        (put("classes", 1, "id", value=0), "two classes have the same id"),
        (put("classes", 1, "name", value="road"), "two classes have the same name"),
        (put("classes", 1, "name", value=""), "classes.1.name"),
        (put("classes", 1, "id", value=256), "classes.1.id"),
        (put("classes", 1, "id", value=-1), "classes.1.id"),
        (put("classes", 1, "id", value="3"), "classes.1.id"),
        (put("classes", 1, "id", value=True), "classes.1.id"),
        (put("ignore_index", value=3), "ignore_index 3 is the id of a class"),
        (put("ignore_index", value=None), "ignore_index"),
        (put("reference", value="radar"), "reference 'radar' is not among the sensors"),
        (put("sensors", value={}), "sensors: "),
        (put("sensors", value=[]), "sensors: "),
        (put("sensors", "my camera", value={}), "sensors"),
        (put("sensors", "camera", "kind", value="eye"), "sensors.camera.kind"),
        (put("sensors", "camera", "channels", value=0), "sensors.camera.channels"),
        (put("sensors", "camera", "channels", value=2.0), "sensors.camera.channels"),
        (put("sensors", "camera", "range", value=[1, 1]), "range must be [lowest, highest]"),
        (put("sensors", "camera", "range", value=[0, float("nan")]), "sensors.camera.range.1"),
        (put("sensors", "camera", "range", value=["0", 1]), "sensors.camera.range.0"),
        (put("sensors", "camera", "range", value=[0, 1, 2]), "sensors.camera.range"),
        (put("sensors", "camera", "nodata", value=float("inf")), "sensors.camera.nodata"),
        (put("sensors", "camera", "max_time_offset_s", value=-0.1), "sensors.camera.max_time_offset_s"),
        (remove("sensors", "camera", "nodata"), "sensors.camera.nodata: missing"),
        (remove("sensors", "camera", "calibration"), "sensors.camera.calibration: missing"),
        (put("sensors", "camera", "calibration", value={"K": [1.0] * 8}), "calibration.K"),
        (put("sensors", "camera", "calibration", value={"K": [1] * 9}), "calibration.T_ref: missing"),
        (
            put("sensors", "camera", "calibration", value={"K": [1] * 9, "T_ref": [1] * 16, "captured": "soon"}),
            "calibration.captured",
        ),
    ],
)
def test_claims_of_batch_yaml(batch: Path, edit: Edit, fault: str) -> None:
    edit_info(batch, edit)
    line = fault_of(batch)
    assert fault in line
    assert "batch.yaml" in line


def test_one_sensor_only_is_refused(batch: Path) -> None:
    edit_info(batch, lambda info: [info["sensors"].pop(s) for s in ("thermal", "lidar")])
    assert "one sensor only" in fault_of(batch)


@pytest.mark.parametrize("name", ["label", "site", "split", "camera_time"])
def test_sensors_named_as_columns_are_refused(batch: Path, name: str) -> None:
    edit_info(batch, lambda info: info["sensors"].update({name: info["sensors"]["lidar"]}))
    assert "clash with columns" in fault_of(batch)


def test_all_faults_of_batch_yaml_come_at_once(batch: Path) -> None:
    def change(info: dict[str, Any]) -> None:
        info["name"], info["ignore_index"], info["x"] = "", 300, 1
        del info["sensors"]["lidar"]["range"]

    edit_info(batch, change)
    line = fault_of(batch)
    assert all(key in line for key in ("name:", "ignore_index:", "x: unknown key", "sensors.lidar.range: missing"))


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda rows: rows.clear(), "has no frames"),
        (lambda rows: rows[1].update(frame_id="f000"), "frame_id 'f000' repeats"),
        (lambda rows: rows[1].update(frame_id=" f000 "), "frame_id 'f000' repeats"),
        (lambda rows: rows[1].update(frame_id=""), "column frame_id has empty cells"),
        (lambda rows: rows[1].update(sequence=" "), "column sequence has empty cells"),
        (lambda rows: rows[1].update(site=""), "column site has empty cells"),
        (lambda rows: rows[1].update(frame_id="a\tb"), "column frame_id has control characters"),
        (lambda rows: [row.pop("site") for row in rows], "columns ['site'] are missing"),
        (lambda rows: [row.pop("lidar_time") for row in rows], "columns ['lidar_time'] are missing"),
        (lambda rows: [row.update(radar="x") for row in rows], "columns ['radar'] are unknown"),
        (lambda rows: rows[2].update(thermal=""), "frame 'f002' has a time but no file for thermal"),
        (lambda rows: rows[2].update(thermal_time=""), "frame 'f002' has a file but no time for thermal"),
        *(
            (lambda rows, t=t: rows[2].update(thermal_time=t), f"thermal_time of frame 'f002' is {t!r}")
            for t in ("nan", "inf", "12:30", "1_000", "1,5", "٣", "0x10", "1e999")
        ),
        (lambda rows: rows[2].update(camera="../../secret.png"), "'../../secret.png' leaves the folder"),
        (lambda rows: rows[2].update(camera="/etc/passwd"), "'/etc/passwd' leaves the folder"),
        (lambda rows: rows[2].update(label="label/../../x.png"), "leaves the folder"),
        (lambda rows: rows[2].update(label="a\0b.png"), "is not a path"),
        (lambda rows: [row.update(split="dev") for row in rows], "split 'dev' is unknown"),
        (lambda rows: rows[0].update(split="train"), "column split has empty cells"),
    ],
)
def test_claims_of_frames_csv(batch: Path, edit: Edit, fault: str) -> None:
    if fault == "has no frames":
        header = (batch / "frames.csv").read_text().splitlines()[0]
        (batch / "frames.csv").write_text(header + "\n\n")
    else:
        edit_frames(batch, edit)
        if "are missing" in fault:
            table = pd.read_csv(batch / "frames.csv", dtype=str, keep_default_na=False)
            table.drop(columns=fault.split("'")[1]).to_csv(batch / "frames.csv", index=False)
    line = fault_of(batch)
    assert fault in line
    assert "frames.csv" in line


def test_a_link_that_leaves_the_batch_is_refused(batch: Path) -> None:
    (batch / "camera/f000.png").rename(batch.parent / "elsewhere.png")
    (batch / "camera/f000.png").symlink_to(batch.parent / "elsewhere.png")
    assert "leaves the folder" in fault_of(batch)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("batch.yaml", None, "is missing"),
        ("frames.csv", None, "is missing"),
        ("batch.yaml", b"", "Input should be an object"),
        ("batch.yaml", b"name: [", "cannot be read"),
        ("batch.yaml", b"a: 1\na: 2\n", "key 'a' repeats"),
        ("batch.yaml", b"\xff\xfe\x00", "cannot be read"),
        ("frames.csv", b"", "is empty"),
        ("frames.csv", b"\xff\xfe\x00", "cannot be read"),
        ("frames.csv", b'frame_id,"sequence\n', "cannot be read"),
        ("frames.csv", b"frame_id,frame_id\n1,2\n", "are missing"),
    ],
)
def test_files_that_are_missing_or_broken(batch: Path, name: str, content: bytes | None, fault: str) -> None:
    (batch / name).unlink()
    if content is not None:
        (batch / name).write_bytes(content)
    assert fault in fault_of(batch)


def test_a_batch_that_is_not_there(tmp_path: Path) -> None:
    assert "a batch is a folder with batch.yaml" in fault_of(tmp_path / "nothing")


def test_rows_of_another_length_name_their_line(batch: Path) -> None:
    lines = (batch / "frames.csv").read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 2)[0]
    (batch / "frames.csv").write_text("\n\n".join(lines))
    assert "line 7 has 9 cells, the header 11" in fault_of(batch)


def test_a_truncated_table_never_gives_a_traceback(batch: Path) -> None:
    text = (batch / "frames.csv").read_bytes()
    read = []
    for length in range(0, text.rindex(b","), 13):
        (batch / "frames.csv").write_bytes(text[:length])
        try:
            read.append(len(read_batch(batch).frames))
        except BatchError as error:
            read.append(-str(error).count("\n"))
    # Cut between two rows it is a whole table of fewer frames; anywhere else it is one line of error.
    assert set(read) <= set(range(8))


@pytest.mark.parametrize("start", ["\ufeff", "\n"])
def test_spreadsheets_that_begin_in_their_own_way_are_read(batch: Path, start: str) -> None:
    text = (batch / "frames.csv").read_text()
    (batch / "frames.csv").write_text(start + text.replace("\n", "\r\n"), encoding="utf-8")
    assert len(read_batch(batch).frames) == 8
