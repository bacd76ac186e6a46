"""`sensorproof import arrays`: arrays become a batch without loss."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.testing import CliRunner

from helpers.array_import import Case, N, make_mapping
from helpers.project import Project
from sensorproof.cli import app
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.image_io import read_pixels
from sensorproof.data.importers.arrays import save
from sensorproof.errors import SensorproofError
from sensorproof.files import dump_yaml


@pytest.mark.parametrize("source", ["arrays.npz", "folder"])
def test_arrays_become_a_batch_without_loss(case: Case, source: str) -> None:
    case.source = case.root / source
    batch = case.imported()
    table = batch.frames
    assert batch.name == "field"
    assert table.frame_id.tolist() == [f"site{k // 3}-drive{k % 3}-{k:02d}" for k in range(N)]
    assert table.sequence.tolist() == ["drive0", "drive1", "drive2"] * 2
    assert table.site.tolist() == ["site0"] * 3 + ["site1"] * 3
    assert (table.split == "").all()
    assert table.camera_time.tolist() == [1_700_000_000 + k for k in range(N)]
    assert {Path(f).suffix for f in table.camera} == {Path(f).suffix for f in table.thermal} == {".png"}
    assert {Path(f).suffix for f in table.lidar} == {".npy"}
    for k in range(N):
        frame, findings = load_frame(batch, k)
        assert findings == []
        assert np.array_equal(frame.images["camera"].transpose(1, 2, 0), case.arrays["rgb"][k])
        assert np.array_equal(frame.images["thermal"][0], case.arrays["heat"][k])
        assert np.array_equal(frame.images["lidar"], case.arrays["range"][k])
        assert np.array_equal(frame.label, case.arrays["label"][k])
    assert [p.name for p in case.out.parent.iterdir()] == ["field"]


def test_claims_of_the_mapping_reach_batch_yaml(case: Case) -> None:
    calibration = {"K": [1.0] * 9, "T_ref": [0.5] * 16, "captured": "2025-02-01"}
    case.mapping["sensors"]["thermal"] |= {"calibration": calibration, "nodata": 0}
    thermal = case.imported().sensors["thermal"]
    assert thermal.calibration is not None
    assert thermal.calibration.model_dump(mode="json") == calibration
    assert (thermal.nodata, thermal.kind, thermal.range) == (0, "thermal", (0, 65535))


def test_rules_split_leave_out_and_unlabel(case: Case) -> None:
    case.mapping["frames"]["rules"] = [
        {"match": r".*/05", "leave_out": True},
        {"match": r".*/04", "labelled": False, "split": "val", "sequence": "s", "site": "t"},
        {"match": r"site(?P<n>\d)/(?P<d>drive\d)/.*", "site": "place-{n}", "sequence": "{n}-{d}", "split": "train"},
    ]
    result = case.imported()
    assert result.frames.split.tolist() == ["train"] * 4 + ["val"]
    assert (result.frames.label != "").tolist() == [True] * 4 + [False]
    assert result.frames.site.tolist() == ["place-0"] * 3 + ["place-1", "t"]
    assert result.frames.sequence.tolist() == ["0-drive0", "0-drive1", "0-drive2", "1-drive0", "s"]


def test_the_command_says_what_it_did(case: Case) -> None:
    case.mapping["frames"]["rules"].insert(0, {"match": ".*/05", "leave_out": True})
    case.write()
    assert case.run().stdout == f"{case.out}: 5 frames, 5 of them labelled, 1 left out\n"


def test_no_names_no_rules_no_label(case: Case) -> None:
    case.mapping |= {"frames": {}, "label": None, "times": {"rate_hz": 4, "start_s": 10}}
    table = case.imported().frames
    assert table.frame_id.tolist() == [f"{k:06d}" for k in range(N)]
    assert set(table.sequence) == set(table.site) == {"all"}
    assert (table.label == "").all()
    assert table.camera_time.tolist() == [10 + k / 4 for k in range(N)]
    assert not (case.out / "label").exists()


def test_sensors_may_have_times_of_their_own(case: Case) -> None:
    case.arrays["late"] = np.arange(N) * 1000 + 5.0
    case.mapping["times"] = {"rate_hz": 1}
    case.mapping["sensors"]["thermal"]["times"] = {"array": "late", "unit": "ms"}
    table = case.imported().frames
    assert np.allclose(table.thermal_time - table.camera_time, 0.005)


def test_frames_without_a_valid_pixel_are_absent(case: Case) -> None:
    case.arrays["heat"][2] = 0
    case.arrays["range"][3] = np.nan
    case.arrays["range"][4, :, :2] = np.inf
    case.mapping["sensors"]["thermal"]["nodata"] = 0
    case.mapping["sensors"]["lidar"]["allow_nan"] = True
    table = case.imported().frames
    assert (table.thermal == "").tolist() == [k == 2 for k in range(N)]
    assert (table.lidar == "").tolist() == [k == 3 for k in range(N)]
    assert table.lidar_time.isna().tolist() == [k == 3 for k in range(N)]


def test_labels_are_translated(case: Case) -> None:
    raw = case.arrays["label"]
    case.arrays["label"] = np.where(raw == 255, -1, np.where(raw == 1, 7, 0))
    case.mapping["label"]["values"] = {7: 1, -1: 255}
    frame, _ = load_frame(case.imported(), 0)
    assert np.array_equal(frame.label, raw[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int32])
def test_labels_of_any_integer_type(case: Case, dtype: type) -> None:
    case.arrays["label"] = (case.arrays["label"] == 1).astype(dtype)
    assert load_frame(case.imported(), 1)[1] == []


def test_memory_layouts_do_not_matter(case: Case) -> None:
    expected = {name: array.copy() for name, array in case.arrays.items()}
    case.arrays["rgb"] = np.asfortranarray(case.arrays["rgb"])
    case.arrays["heat"] = case.arrays["heat"].astype(">u2")
    case.arrays["name"] = np.array([n.encode() for n in case.arrays["name"].tolist()])
    frame, findings = load_frame(case.imported(), 3)
    assert findings == []
    assert np.array_equal(frame.images["camera"].transpose(1, 2, 0), expected["rgb"][3])
    assert np.array_equal(frame.images["thermal"][0], expected["heat"][3])


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.bool_, np.int16, np.float32, np.float64, np.int64]),
        st.tuples(st.integers(1, 5), st.integers(1, 5)) | st.tuples(*[st.integers(1, 5)] * 3),
    )
)
def test_whatever_is_saved_is_read_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("saved")
    read = read_pixels(folder / save(folder, "a", array))
    squeezed = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    assert np.array_equal(read.reshape(squeezed.shape), squeezed, equal_nan=array.dtype.kind == "f")


def test_out_is_not_overwritten_unless_forced(case: Case) -> None:
    case.imported()
    before = sorted(p.name for p in case.out.rglob("*"))
    result = case.run()
    assert isinstance(result.exception, SensorproofError)
    assert "holds a batch already" in str(result.exception)
    assert sorted(p.name for p in case.out.rglob("*")) == before
    case.arrays = {name: a[:3] for name, a in case.arrays.items()}
    assert len(case.imported("--force").frames) == 3


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["MUSES", "src", "out"], "src: is not a folder; give the folder of MUSES"),
        (["zip", "src", "out"], "format 'zip': is not a known format; available: arrays, deliver, muses"),
        (["arrays", "src", "out"], "--mapping: is missing"),
        (["arrays", "src", "out", "--mapping", "none.yaml"], "none.yaml: cannot be read"),
        (["arrays", "none.npz", "out", "--mapping", "m.yaml"], "is neither an .npz file nor a folder"),
        (["arrays", "m.yaml", "out", "--mapping", "m.yaml"], "is neither an .npz file nor a folder"),
        (["arrays", "x.npz", "my batch", "--mapping", "m.yaml"], "its name cannot be the name of a batch"),
    ],
)
def test_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], fault: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(dump_yaml(make_mapping()))
    result = CliRunner().invoke(app, ["import", *arguments])
    assert isinstance(result.exception, SensorproofError)
    assert fault in str(result.exception)
    assert result.exception.exit_code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m.yaml"]


def test_the_real_command_gives_one_line_and_its_exit_code(project: Project) -> None:
    done = project.run("sensorproof", "import", "fmb", "a", "b", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: a: is not a folder; give the folder of FMB; it can be had from https://github.com/JinyuanLiu-CV/SegMiF\n"
    )
