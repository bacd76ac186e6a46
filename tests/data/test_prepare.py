"""Stage prepare on good and bad batches: exit code, one line, nothing half-written, and arrays that are right."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.batches import edit_frames, edit_info, make_batch
from helpers.paths import ROOT
from helpers.project import Project
from sensorproof.data.metadata import IGNORE, read_meta
from sensorproof.files import dump_yaml, parse_yaml

STAGE = ROOT / "pipelines/stages/prepare.py"
OUT = Path("artifacts/prepared")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[[], Ran]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the stage, the script itself, in a folder that has nothing but params.yaml and data."""
    params = parse_yaml((ROOT / "params.yaml").read_text())
    params["data"]["size"] = [6, 8]
    (tmp_path / "params.yaml").write_text(dump_yaml(params))
    monkeypatch.chdir(tmp_path)

    def run() -> Ran:
        try:
            runpy.run_path(str(STAGE), run_name="__main__")
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return make_batch(tmp_path / "data/raw/yard")


def frames() -> pd.DataFrame:
    return pd.read_csv(OUT / "frames.csv", keep_default_na=False).set_index("frame_id")


def test_arrays_hold_what_the_files_say(prepare: Run, batch: Path) -> None:
    assert prepare() == Ran(0, "prepared yard: 4 train, 2 val, 2 test frames of 3 sensors\n", "")
    table, meta = frames(), read_meta(OUT)
    assert table.split.value_counts().to_dict() == meta.frames
    assert table.groupby("sequence").split.nunique().max() == 1
    camera, label = np.load(OUT / "camera.npy"), np.load(OUT / "label.npy")
    assert (camera.shape, camera.dtype, label.shape, label.dtype) == ((8, 3, 6, 8), np.float16, (8, 6, 8), np.uint8)
    pixels = np.asarray(Image.open(batch / "camera/f005.png"), float) / 255
    assert np.allclose(camera[5], pixels.reshape(6, 2, 8, 2, 3).mean((1, 3)).transpose(2, 0, 1), atol=1e-3)
    assert set(np.unique(label)) == {0, 1, IGNORE}
    train = (table.split == "train").to_numpy()
    thermal = np.load(OUT / "thermal.npy")[train].astype(float)
    assert meta.sensors["thermal"].mean == pytest.approx((thermal.mean(),), abs=1e-3)
    assert meta.sensors["thermal"].std == pytest.approx((thermal.std(),), abs=1e-3)


def test_the_same_data_gives_the_same_bytes(prepare: Run, batch: Path) -> None:
    assert prepare().code == 0
    first = {p.name: p.read_bytes() for p in OUT.iterdir()}
    assert prepare().code == 0
    assert {p.name: p.read_bytes() for p in OUT.iterdir()} == first


WHOLE_BATCH: list[tuple[str, Callable[[Path], object], str]] = [
    ("no batch.yaml", lambda b: (b / "batch.yaml").unlink(), "data/raw: holds no batch"),
    ("no frames.csv", lambda b: (b / "frames.csv").unlink(), "frames.csv: is missing"),
    ("truncated batch.yaml", lambda b: (b / "batch.yaml").write_text("name: ya\nclasses: ["), "cannot be read"),
    ("no frames", lambda b: (b / "frames.csv").write_text("frame_id\n"), "are missing"),
    ("duplicate ids", lambda b: edit_frames(b, lambda r: r[1].update(frame_id="f000")), "'f000' repeats"),
    ("a path out", lambda b: edit_frames(b, lambda r: r[1].update(camera="../x.png")), "leaves the folder"),
    ("one sensor", lambda b: edit_info(b, lambda i: [i["sensors"].pop(s) for s in ("lidar", "thermal")]), "one sensor"),
    ("NaN time", lambda b: edit_frames(b, lambda r: r[1].update(camera_time="nan")), "'nan'"),
    ("NaN claim", lambda b: edit_info(b, lambda i: i["sensors"]["lidar"].update(nodata=float("nan"))), "finite"),
    ("no labels", lambda b: edit_frames(b, lambda r: [x.update(label="") for x in r]), "no labelled frame for train"),
    ("another name", lambda b: edit_info(b, lambda i: i.update(name="garden")), "calls itself 'garden'"),
    ("all broken", lambda b: [p.write_bytes(b"x") for p in b.glob("camera/*")], "8 frames have faults"),
    ("two sequences", lambda b: edit_frames(b, lambda r: [x.update(sequence=x["sequence"][:1]) for x in r]), "for val"),
]


@pytest.mark.parametrize(("change", "fault"), [w[1:] for w in WHOLE_BATCH], ids=[w[0] for w in WHOLE_BATCH])
def test_a_faulty_batch_is_one_line_and_leaves_nothing(
    prepare: Run, batch: Path, change: Callable[[Path], object], fault: str
) -> None:
    change(batch)
    ran = prepare()
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: data/raw")
    assert fault in ran.err
    assert ran.err.count("\n") == 1
    assert not list(Path("artifacts").glob("*prepared*"))
    assert not list(Path("artifacts").glob(".*"))


def test_a_failure_leaves_the_last_good_result(prepare: Run, batch: Path) -> None:
    assert prepare().code == 0
    before = {p.name: p.read_bytes() for p in OUT.iterdir()}
    for path in batch.glob("camera/*"):
        path.write_bytes(b"x")
    assert prepare().code == 1
    assert {p.name: p.read_bytes() for p in OUT.iterdir()} == before


ONE_FRAME: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing", lambda b: (b / "camera/f001.png").unlink(), "camera/f001.png: is missing"),
    ("truncated", lambda b: (b / "lidar/f001.npy").write_bytes(b"\x93NUMPY\x01\x00"), "lidar/f001.npy: is not a whole"),
    ("shape", lambda b: np.save(b / "lidar/f001.npy", np.zeros((12, 16))), "has 1 channels, batch.yaml says 2"),
    ("type", lambda b: np.save(b / "lidar/f001.npy", np.zeros((12, 16, 2), complex)), "holds complex128"),
    ("NaN", lambda b: np.save(b / "lidar/f001.npy", np.full((12, 16, 2), np.nan)), "has no valid pixel"),
    (
        "label",
        lambda b: Image.fromarray(np.full((12, 16), 9, np.uint8)).save(b / "label/f001.png"),
        "has labels [9] outside the classes",
    ),
]


@pytest.mark.parametrize(("change", "fault"), [w[1:] for w in ONE_FRAME], ids=[w[0] for w in ONE_FRAME])
def test_a_faulty_frame_is_counted_reported_and_left_out(
    prepare: Run, batch: Path, change: Callable[[Path], object], fault: str
) -> None:
    change(batch)
    ran = prepare()
    assert ran.code == 0
    assert ran.err.startswith("frames left out because of faults: 1\nwarning: data/raw/yard/")
    assert fault in ran.err
    assert ran.err.count("\n") == 2
    table = frames()
    assert (table.fault != "").sum() == 1
    assert fault in table.fault["f001"]
    assert sum(read_meta(OUT).frames.values()) == 7
    assert np.isnan(np.load(OUT / "camera.npy")[1]).all()
    assert (np.load(OUT / "label.npy")[1] == IGNORE).all()


def test_unlabelled_frames_are_counted_and_have_no_split(prepare: Run, batch: Path) -> None:
    assert prepare().code == 0
    before, statistics = frames(), read_meta(OUT).sensors
    make_batch(batch.parent / "allotment", labelled=False, start=-1000)
    ran = prepare()
    assert ran.code == 0
    assert "frames without a label, which are not used for training: 8" in ran.out
    after = frames()
    assert (after[after.batch == "allotment"].split == "").all()
    assert after[after.batch == "yard"].split.tolist() == before.split.tolist()
    assert read_meta(OUT).sensors == statistics
    assert sum(read_meta(OUT).frames.values()) == 8


def test_a_partly_labelled_batch_is_split_by_what_has_labels(prepare: Run, batch: Path) -> None:
    edit_frames(batch, lambda rows: [row.update(label="") for row in rows if row["sequence"] == "q3"])
    assert prepare().code == 0
    table = frames()
    assert set(table[table.labelled].split) == {"train", "val", "test"}
    assert set(table[~table.labelled].split) == {""}


def test_batches_may_lack_a_sensor_but_must_agree_on_the_rest(prepare: Run, batch: Path) -> None:
    other = make_batch(batch.parent / "allotment", start=500)
    edit_info(other, lambda info: info["sensors"].pop("lidar"))
    table = pd.read_csv(other / "frames.csv", dtype=str)
    table.drop(columns=["lidar", "lidar_time"]).to_csv(other / "frames.csv", index=False)
    assert prepare().code == 0
    assert frames().groupby("batch").present_lidar.all().to_dict() == {"allotment": False, "yard": True}
    edit_info(other, lambda info: info["sensors"]["thermal"].update(range=[0, 100]))
    ran = prepare()
    assert ran.code == 1
    assert "range of thermal differ from another batch's" in ran.err
    edit_info(other, lambda info: info["classes"][0].update(name="mud"))
    assert "classes or reference differ from" in prepare().err


def test_a_sensor_that_no_frame_has_is_refused_before_anything_is_read(prepare: Run, batch: Path) -> None:
    edit_frames(batch, lambda rows: [row.update(lidar="", lidar_time="") for row in rows])
    assert prepare().code == 1
    assert "lidar is in no labelled frame" in prepare().err
    assert not OUT.exists()


def test_the_stage_in_a_process_of_its_own(project: Project) -> None:
    batch = make_batch(project.root / "data/raw/yard")
    (batch / "batch.yaml").write_text("name: yard")
    ran = project.run("python", "pipelines/stages/prepare.py", check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    assert "batch.yaml: classes: missing" in ran.stderr
    assert not list((project.root / "artifacts").glob("*"))
