"""`sensorproof import arrays`: arrays become a batch without loss, or one line says why not."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from typer.testing import CliRunner, Result

from conftest import ROOT, Project
from sensorproof.cli import app
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.check import load_frame
from sensorproof.data.formats import read_pixels
from sensorproof.data.importers.arrays import save
from sensorproof.data.importers.mapping import Rule, role_of
from sensorproof.errors import SensorproofError

N, SIZE = 6, (8, 10)
RNG = np.random.default_rng(0)
Edit = Callable[[Any], object]


def make_arrays() -> dict[str, np.ndarray]:
    label = RNG.integers(0, 2, (N, *SIZE)).astype(np.int64)
    label[:, 0] = 255
    return {
        "rgb": RNG.integers(0, 256, (N, *SIZE, 3), np.uint8),
        "heat": RNG.integers(1, 65536, (N, *SIZE), np.uint16),
        "range": RNG.random((N, 2, *SIZE)).astype(np.float32),
        "label": label,
        "name": np.array([f"site{k // 3}/drive{k % 3}/{k:02d}" for k in range(N)]),
        "stamp": (1_700_000_000 + np.arange(N)) * 1_000_000_000,
    }


def sensor(array: str, kind: str, channels: int, limits: list[float]) -> dict[str, Any]:
    return {"array": array, "kind": kind, "channels": channels, "range": limits, "max_time_offset_s": 0.1}


def make_mapping() -> dict[str, Any]:
    return {
        "classes": [{"id": 0, "name": "road"}, {"id": 1, "name": "hole"}],
        "ignore_index": 255,
        "reference": "camera",
        "sensors": {
            "camera": {"array": "rgb", "kind": "camera", "channels": 3, "range": [0, 255], "max_time_offset_s": 0.1},
            "thermal": {
                "array": "heat",
                "kind": "thermal",
                "channels": 1,
                "range": [0, 65535],
                "max_time_offset_s": 0.1,
            },
            "lidar": {
                "array": "range",
                "layout": "NCHW",
                "kind": "lidar",
                "channels": 2,
                "range": [0, 1],
                "max_time_offset_s": 0.1,
            },
        },
        "label": {"array": "label"},
        "times": {"array": "stamp", "unit": "ns"},
        "frames": {"names": "name", "rules": [{"match": r"(?P<site>\w+)/(?P<sequence>\w+)/\d\d"}]},
    }


class Case:
    """Arrays and a mapping in a folder, changed by a test and imported by the real command."""

    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "data" / "field"
        self.arrays, self.mapping = make_arrays(), make_mapping()
        self.source = root / "arrays.npz"

    def write(self) -> None:
        if self.source.suffix == ".npz":
            np.savez_compressed(self.source, **self.arrays)
        else:
            self.source.mkdir(exist_ok=True)
            for name, array in self.arrays.items():
                np.save(self.source / f"{name}.npy", array)

    def run(self, *options: str) -> Result:
        (self.root / "mapping.yaml").write_text(yaml.safe_dump(self.mapping))
        mapping = ["--mapping", str(self.root / "mapping.yaml")]
        return CliRunner().invoke(app, ["import", "arrays", str(self.source), str(self.out), *mapping, *options])

    def imported(self, *options: str) -> Batch:
        self.write()
        result = self.run(*options)
        assert result.exit_code == 0, result.exception
        return read_batch(self.out)

    def refused(self, *options: str) -> tuple[str, int]:
        """The one line and the exit code; nothing may be left."""
        result = self.run(*options)
        error = result.exception
        assert isinstance(error, SensorproofError), error
        assert "\n" not in str(error)
        assert not self.out.exists()
        assert not self.out.parent.exists() or not list(self.out.parent.iterdir())
        return str(error), error.exit_code


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


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


def put(*path: Any, value: Any) -> Edit:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (put("colour", value=1), "colour: unknown key"),
        (put("sensors", "camera", "colour", value=1), "sensors.camera.colour: unknown key"),
        (put("sensors", "camera", "array", value=""), "sensors.camera.array"),
        (put("sensors", "camera", "layout", value="HWNC"), "sensors.camera.layout"),
        (put("sensors", "camera", "channels", value="3"), "sensors.camera.channels"),
        (put("sensors", "camera", "range", value=[3, 3]), "range must be"),
        (put("reference", value="radar"), "reference 'radar'"),
        (put("ignore_index", value=1), "ignore_index 1 is the id of a class"),
        (put("classes", value=[]), "classes"),
        (put("label", value={}), "label.array: missing"),
        (put("label", "values", value={"a": 1}), "label.values"),
        (put("label", "values", value={7: 300}), "label.values.7"),
        (put("times", value={}), "give either array or rate_hz"),
        (put("times", value={"array": "stamp", "rate_hz": 1}), "give either array or rate_hz"),
        (put("times", value={"rate_hz": 0}), "times.rate_hz"),
        (put("times", "unit", value="h"), "times.unit"),
        (put("frames", "rules", value=[{"match": "("}]), "match is no regular expression"),
        (put("frames", "rules", value=[{"match": "x", "site": "{n}"}]), "site refers to ['n']"),
        (put("frames", "rules", value=[{"site": "x"}]), "frames.rules.0.match: missing"),
        (lambda m: [m["sensors"].pop(s) for s in ("thermal", "lidar")], "one sensor only"),
        (lambda m: m["sensors"].update({"split": m["sensors"]["lidar"]}), "clash with columns"),
    ],
)
def test_faults_of_the_mapping(case: Case, edit: Edit, fault: str) -> None:
    case.write()
    edit(case.mapping)
    line, code = case.refused()
    assert fault in line
    assert code == 2
    assert line.startswith(str(case.root / "mapping.yaml"))


def test_all_faults_of_the_mapping_come_at_once(case: Case) -> None:
    case.write()
    case.mapping["sensors"]["camera"] |= {"kind": "eye", "channels": 0, "x": 1}
    del case.mapping["classes"]
    line, _ = case.refused()
    assert all(k in line for k in ("classes: missing", "camera.kind", "camera.channels", "camera.x: unknown key"))


def array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(case: Case) -> None:
        case.arrays[name] = change(case.arrays[name])

    return edit


def with_value(where: Any, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(a: np.ndarray) -> np.ndarray:
        a = a.copy()
        a[where] = value
        return a

    return change


@pytest.mark.parametrize(
    ("edit", "fault", "code"),
    [
        (
            array("heat", lambda a: a[:-1]),
            "arrays differ in length (rgb 6, range 6, heat 5,",
            1,
        ),
        (array("name", lambda a: a[:0]), "arrays differ in length", 1),
        (array("rgb", lambda a: a[0, 0, 0, 0]), "arrays differ in length", 1),
        (lambda c: c.arrays.update({k: v[:0] for k, v in c.arrays.items()}), "has no frames", 1),
        (array("rgb", lambda a: a[..., 0]), "has 1 channels as NHWC, not 3", 1),
        (array("rgb", lambda a: a.transpose(0, 3, 1, 2)), "has 10 channels as NHWC, not 3", 1),
        (array("rgb", lambda a: a[:, 0, 0]), "has shape (6, 3)", 1),
        (array("rgb", lambda a: a[..., None]), "has shape (6, 8, 10, 3, 1)", 1),
        (array("rgb", lambda a: a[:, :0]), "has images of 0 x 10", 1),
        (array("rgb", lambda a: a.astype(complex)), "holds complex128", 1),
        (array("rgb", lambda a: a.astype(str)), "holds <U3", 1),
        (array("range", with_value((4, 1, 2, 3), np.nan)), "1 NaN or infinite values in frame 'site1-drive1-04'", 1),
        (array("range", with_value((4, 0), np.inf)), "80 NaN or infinite values in frame 'site1-drive1-04'", 1),
        (array("label", with_value((2, 3, 3), 9)), "frame 'site0-drive2-02' has labels [9] outside the classes", 1),
        (array("label", with_value((2, 3, 3), -1)), "has labels [-1] outside the classes", 1),
        (array("label", lambda a: a.astype(np.float32)), "label 'label' holds float32", 1),
        (array("label", lambda a: a[:, :-1]), "label 'label' is 7 x 10, the reference 8 x 10", 1),
        (array("label", lambda a: a[..., None, None]), "label 'label' has shape", 1),
        (array("name", with_value(5, "site0/drive0/00")), "both make 'site0-drive0-00'", 1),
        (array("name", with_value(5, "site0 drive0 00")), "both make 'site0-drive0-00'", 1),
        (array("name", with_value(5, "Site0/drive0/00")), "both make 'Site0-drive0-00'", 1),
        (array("name", with_value(5, "///")), "frame name '///' makes no frame_id", 1),
        (array("name", lambda a: np.array(["x" * 300 + n for n in a])), "makes no frame_id", 1),
        (array("name", with_value(5, "other")), "no rule of the mapping matches frame name 'other'", 1),
        (array("name", lambda a: a[:, None]), "names 'name' have shape (6, 1)", 1),
        (array("name", lambda a: np.arange(6.0)), "hold float64", 1),
        (array("name", lambda a: np.array([b"\xff%d" % k for k in range(6)])), "are no UTF-8", 1),
        (array("stamp", lambda a: np.where(a == a[2], np.nan, a)), "frame 'site0-drive2-02' has no time for camera", 1),
        (array("stamp", lambda a: a.astype(str)), "times 'stamp' have shape (6,) and hold <U21", 1),
        (array("name", lambda a: a.astype(object)), "array 'name' holds pickled objects", 1),
        (array("stamp", lambda a: a.astype("datetime64[ns]")), "array 'stamp' holds datetime64[ns]", 1),
        (lambda c: c.arrays.pop("heat"), "has no array 'heat'; it has label, name, range, rgb, stamp", 2),
    ],
)
@pytest.mark.parametrize("source", ["arrays.npz", "folder"])
def test_faults_of_the_arrays(case: Case, source: str, edit: Edit, fault: str, code: int) -> None:
    case.source = case.root / source
    edit(case)
    case.write()
    line, exit_code = case.refused()
    assert fault in line
    assert line.startswith(str(case.source))
    assert exit_code == code


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ([{"match": ".*", "leave_out": True}], "no frame is left"),
        ([{"match": ".*0", "split": "dev"}, {"match": ".*"}], "gets the split 'dev'"),
        ([{"match": ".*0", "split": "train"}, {"match": ".*"}], "some frames get a split and some do not"),
        ([{"match": ".*", "sequence": ""}], "gets no sequence or site"),
        ([{"match": "nothing"}], "no rule of the mapping matches"),
    ],
)
def test_faults_of_the_rules(case: Case, rules: list[dict[str, Any]], fault: str) -> None:
    case.mapping["frames"]["rules"] = rules
    case.write()
    assert fault in case.refused()[0]


def test_pickles_are_not_loaded(case: Case) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (case.root / "opened",))

    case.arrays["heat"] = np.array([Trap()] * N, dtype=object)
    for source in ("arrays.npz", "folder"):
        case.source = case.root / source
        case.write()
        assert "holds pickled objects" in case.refused()[0]
    assert not (case.root / "opened").exists()


def npy(shape: tuple[int, ...], dtype: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def replace_member(source: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(source) as archive:
        members = {m: archive.read(m) for m in archive.namelist()}
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in (members | {name: content}).items():
            archive.writestr(member, data)


def test_what_unpacks_to_too_much_is_refused_unread(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write()
    monkeypatch.setattr("shutil.copyfileobj", pytest.fail)
    line, code = case.refused("--max-gib", "0.00001")
    assert "more than 1e-05; raise --max-gib" in line
    assert code == 1
    replace_member(case.source, "heat.npy", npy((N, 4000, 4000), "|u1", bytes(N * 4000 * 4000)))
    assert case.source.stat().st_size < 200_000
    assert "its arrays take 0.0894 GiB unpacked, more than 0.05" in case.refused("--max-gib", "0.05")[0]


@pytest.mark.parametrize("claimed", [N - 1, N + 1, 10**12])
def test_headers_that_lie_are_refused_unread(case: Case, claimed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case.write()
    monkeypatch.setattr("shutil.copyfileobj", pytest.fail)
    replace_member(case.source, "heat.npy", npy((claimed, *SIZE), "<u2", case.arrays["heat"].tobytes()))
    assert "array 'heat' is not as long as its header says" in case.refused()[0]


def test_a_truncated_or_garbled_archive_is_one_line(case: Case) -> None:
    case.write()
    whole = case.source.read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        case.source.write_bytes(whole[:length])
        assert "is not a whole archive" in case.refused()[0]
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.getinfo("rgb.npy").header_offset + 200
    case.source.write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
    assert "is not a whole archive" in case.refused()[0]


def test_a_truncated_npy_is_one_line(case: Case) -> None:
    case.source = case.root / "folder"
    case.write()
    whole = (case.source / "heat.npy").read_bytes()
    for length in (0, 5, 60, len(whole) - 1):
        (case.source / "heat.npy").write_bytes(whole[:length])
        assert "array 'heat' is not" in case.refused()[0]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_array_names_cannot_leave_the_folder(case: Case, name: str) -> None:
    case.source = case.root / "folder"
    case.write()
    np.save(case.root / "secret.npy", case.arrays["heat"])
    case.mapping["sensors"]["thermal"]["array"] = name
    assert "leaves the folder" in case.refused()[0]


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
        (["deliver", "src", "out"], "format 'deliver': cannot be imported yet; available: arrays"),
        (["MUSES", "src", "out"], "format 'MUSES': cannot be imported yet; available: arrays"),
        (["zip", "src", "out"], "format 'zip': is no format; available: arrays"),
        (["arrays", "src", "out"], "--mapping: is missing"),
        (["arrays", "src", "out", "--mapping", "none.yaml"], "none.yaml: cannot be read"),
        (["arrays", "none.npz", "out", "--mapping", "m.yaml"], "is no .npz file and no folder"),
        (["arrays", "m.yaml", "out", "--mapping", "m.yaml"], "is no .npz file and no folder"),
        (["arrays", "x.npz", "my batch", "--mapping", "m.yaml"], "its name is no name of a batch"),
    ],
)
def test_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], fault: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(make_mapping()))
    result = CliRunner().invoke(app, ["import", *arguments])
    assert isinstance(result.exception, SensorproofError)
    assert fault in str(result.exception)
    assert result.exception.exit_code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m.yaml"]


def test_the_real_command_gives_one_line_and_its_exit_code(project: Project) -> None:
    done = project.run("sensorproof", "import", "nyudepthv2", "a", "b", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: format 'nyudepthv2': cannot be imported yet; available: arrays\n"


def test_the_first_rule_that_matches_the_whole_name_decides() -> None:
    rules = [Rule(match="a", site="first"), Rule(match="a.*", site="second", split="val"), Rule(match="(?P<site>b)?c")]
    assert [getattr(role_of(name, rules), "site", None) for name in ("a", "ab", "ba")] == ["first", "second", None]
    bare = role_of("c", rules)
    assert bare is not None
    assert (bare.site, role_of("c", [])) != ("b", None)


def test_the_example_for_the_stereo_potholes_reads_its_names() -> None:
    """The split by data sets, and the twelve frames that the authors leave out of evaluation."""
    from sensorproof.data.importers.mapping import read_mapping

    mapping = read_mapping(ROOT / "examples/stereo_potholes/mapping.yaml")
    counts = {1: 22, 2: 40, 3: 5}
    names = [f"dataset{d}/{k:02d}" for d, count in counts.items() for k in range(1, count + 1)]
    roles = {name: role_of(name, mapping.frames.rules) for name in names}
    assert all(roles.values())
    out = {n for n, role in roles.items() if role and role.leave_out}
    assert out == {f"dataset2/{k:02d}" for k in (6, 7, 8, 13, 14, 15, 21, 22, 23, 37, 38, 39)}
    split = {n: role.split for n, role in roles.items() if role and not role.leave_out}
    assert {n[:8] for n, s in split.items() if s == "test"} == {"dataset2"}
    assert not {n for n, s in split.items() if s != "test" and n.startswith("dataset2")}
    sequences = {(role.sequence, role.split) for role in roles.values() if role and not role.leave_out}
    assert len(sequences) == len({sequence for sequence, _ in sequences}) == 4
    assert [list(split.values()).count(s) for s in ("train", "val", "test")] == [22, 5, 28]
