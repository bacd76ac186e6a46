"""`sensorproof audit`: models of every kind, the report that it writes, and bad input in one line."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from helpers.batches import edit_frames, make_batch
from helpers.foreign_models import FUNCTIONS, write_graph, write_pyfunc
from helpers.project_artifacts import command, make_meta, write_model, write_raw
from sensorproof.data.batch import read_batch
from sensorproof.documents.audit import AuditRecord

MODULE = "models_of_somebody"


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the batch `yard` and a module of models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    (tmp_path / f"{MODULE}.py").write_text(FUNCTIONS)
    return make_batch(tmp_path / "yard", sequences=2)


def refusal(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """The one line of an error; nothing is written."""
    capsys.readouterr()
    assert command("audit", *arguments, "out") == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert not Path("out").exists()
    return error


def audited(*arguments: str | Path) -> AuditRecord:
    assert command("audit", *arguments, "out") == 0
    return AuditRecord.read(Path("out/audit.json"))


def visible_text(page: str) -> str:
    """What a reader sees of a page."""
    parts: list[str] = []

    class Reader(HTMLParser):
        def handle_data(self, data: str) -> None:
            parts.append(data)

    Reader().feed(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(" ".join(parts).split())


def test_a_function_is_audited_and_the_report_says_so(yard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = audited(f"{MODULE}:by_camera", yard, "--json", "figures.json")
    assert AuditRecord.read(Path("figures.json")) == record
    assert (record.kind, record.frames, record.missing) == ("a function", 4, "zero")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5
    assert printed[1].startswith("mIoU 100.0 with all sensors; over the 7 subsets: mean ")
    assert re.match(
        r"Without camera this model loses \d\d\.\d points; if the camera \w.* and is believed, it", printed[2]
    )
    assert printed[3].endswith("given thermal alone, it raises KeyError: 'camera'.")
    assert Path(printed[4]) == Path("out/audit.html")
    assert sorted(p.name for p in Path("out").iterdir()) == [
        *("audit.html", "audit.json", "noise.csv", "silent.csv", "subsets.csv")
    ]


def test_the_page_is_complete_by_itself(yard: Path) -> None:
    record = audited(f"{MODULE}:by_camera", yard)
    page = Path("out/audit.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|url\(|@import|src=", page)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    text = visible_text(page)
    for part in (
        "zero-filled protocol",
        "over-exposed",
        "against absent",
        "What this does not show",
        "road",
        "support",
    ):
        assert part in text
    assert not re.search(r"\barms?\b|promot|champion|baseline", text)
    assert f"{record.mean:.1f}" in text
    for opened in ("table", "section", "tbody", "tr", "td", "th", "dl", "div"):
        assert len(re.findall(rf"<{opened}[ >]", page)) == page.count(f"</{opened}>"), opened


def test_the_tables_hold_the_figures_of_the_document(yard: Path) -> None:
    record = audited(f"{MODULE}:by_any", yard)
    subsets = pd.read_csv("out/subsets.csv").set_index("subset")
    assert subsets.miou.to_dict() == pytest.approx({name: case.score for name, case in record.subsets.items()})
    assert subsets.missing["camera"] == 2
    silent = pd.read_csv("out/silent.csv").set_index(["sensor", "failure"])
    assert silent.miou["camera", "black"] == pytest.approx(record.broken["camera"].failures["black"].score)
    assert silent.absent["camera", "black"] == pytest.approx(record.subsets["lidar+thermal"].score)
    assert len(pd.read_csv("out/noise.csv")) == 9


def test_a_broken_sensor_without_an_answer_is_listed_with_the_reason(yard: Path) -> None:
    Path("fussy.py").write_text(
        "def f(images):\n"
        "    assert images['camera'].max() < 255, 'over-exposed image'\n"
        "    return images['camera'][0].astype(int) * 0\n"
    )
    record = audited("fussy:f", yard, "--missing", "zero")
    assert record.broken["camera"].failures["bright"].reason == "raises AssertionError: over-exposed image"
    text = visible_text(Path("out/audit.html").read_text(encoding="utf-8"))
    assert "camera, over-exposed: the model raises AssertionError: over-exposed image" in text
    assert "if the camera is over-exposed and is believed, it gives no answer that can be scored" in text


def test_a_torch_module_of_a_module(yard: Path) -> None:
    assert audited(f"{MODULE}:net", yard).kind == "a torch module"


def test_a_missing_sensor_may_be_its_mean(yard: Path) -> None:
    record = audited(f"{MODULE}:by_camera", yard, "--missing", "mean")
    assert record.missing == "mean"
    assert "its mean over the batch" in visible_text(Path("out/audit.html").read_text(encoding="utf-8"))


def test_a_model_that_cannot_do_without_a_sensor_fails_where_nothing_stands_in(
    yard: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = audited(f"{MODULE}:by_camera", yard, "--missing", "drop")
    assert record.failed == dict.fromkeys(["lidar", "thermal", "lidar+thermal"], "raises KeyError: 'camera'")
    assert "Without camera this model gives no answer that can be scored (raises KeyError: 'camera')" in (
        capsys.readouterr().out
    )
    text = visible_text(Path("out/audit.html").read_text(encoding="utf-8"))
    assert "lidar + thermal: the model raises KeyError: 'camera'" in text
    assert "so look better than the model is" in text


def test_a_model_folder_of_ours(yard: Path) -> None:
    batch = write_raw(Path("street"))
    write_model(Path("model"), 3, make_meta())
    record = audited("model", batch.root)
    assert (record.missing, record.sensors) == ("drop", ("camera", "depth"))
    assert record.kind == "a model of Sensorproof, its monitor off"


def test_an_onnx_graph_gets_the_sensors_that_it_has_inputs_for(yard: Path) -> None:
    record = audited(write_graph(Path("net.onnx")), yard)
    assert (record.kind, record.sensors, record.missing) == ("an ONNX graph", ("camera", "thermal"), "zero")
    assert record.full == pytest.approx(100.0)
    assert (record.subsets["thermal"].score or 100) < 50


def test_an_mlflow_model_without_pickles(yard: Path) -> None:
    record = audited(write_pyfunc(Path("pyfunc")), yard)
    assert (record.kind, record.full, record.missing) == ("an MLflow pyfunc", pytest.approx(100.0), "zero")
    assert set(record.sensors) == {"camera", "lidar", "thermal"}
    record = audited(write_pyfunc(Path("named"), named=True), yard)
    assert (record.sensors, record.full) == (("camera", "thermal"), pytest.approx(100.0))
    assert record.missing_reason.startswith("given camera alone, it raises MlflowException: Model is missing inputs")


def test_names_in_any_script(yard: Path) -> None:
    for name in ("batch.yaml", "frames.csv"):
        text = (yard / name).read_text(encoding="utf-8")
        text = re.sub(r"\bthermal(?=:|,|_time)", "жара", text).replace(",yard,", ",Köln <Süd>,")
        (yard / name).write_text(text, encoding="utf-8")
    record = audited(f"{MODULE}:by_camera", yard)
    assert record.sensors == ("camera", "lidar", "жара")
    page = Path("out/audit.html").read_text(encoding="utf-8")
    assert "without жара" in visible_text(page)


def test_markup_in_a_message_is_text(yard: Path) -> None:
    Path("odd.py").write_text(
        "def f(images):\n    if len(images) < 3: raise ValueError('<script>x</script>')\n"
        "    return images['camera'][0].astype(int) * 0\n"
    )
    audited("odd:f", yard, "--missing", "drop")
    assert "<script" not in Path("out/audit.html").read_text(encoding="utf-8")


def test_a_model_that_never_answers_is_one_line(yard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refusal(capsys, 1, f"{MODULE}:always_fails", yard)
    assert error == (
        "error: model: raises RuntimeError: no GPU and a second line; run it on one frame by hand to see why\n"
    )


@pytest.mark.parametrize(
    ("name", "code", "fault"),
    [
        ("nowhere:f", 2, "nowhere:f: there is no module nowhere"),
        (f"{MODULE}.part:f", 2, f"there is no module {MODULE}.part"),
        (f"{MODULE}:nothing", 2, "the module has no nothing"),
        (f"{MODULE}:LIMIT", 2, "is int, not callable"),
        (f"{MODULE}:Net", 2, "is a class; name an instance of it, or a function"),
        ("broken_module:f", 1, "the module cannot be imported (ModuleNotFoundError: No module named 'nothing_at_all')"),
        ("leaving_module:f", 1, "the module cannot be imported (SystemExit: 3)"),
        ("nowhere", 2, "does not exist; give a model folder"),
        ("notes.txt", 2, "is a file of another kind; pickles are never loaded"),
        ("empty", 1, "holds neither model.json, nor MLmodel, nor model.onnx"),
        ("gone.onnx", 1, "gone.onnx: does not exist"),
        ("text.onnx", 1, "text.onnx: cannot be read as ONNX"),
        ("four.onnx", 1, "camera has 3 channels, four.onnx takes 4"),
        ("fixed.onnx", 1, "model: takes camera at 64 x w, the frame has 12 x 16; export it with free height"),
        ("ours", 1, "has none of the model's sensors ['camera_1', 'depth']; use its names"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(
    yard: Path, capsys: pytest.CaptureFixture[str], name: str, code: int, fault: str
) -> None:
    Path("broken_module.py").write_text("import nothing_at_all\n")
    Path("leaving_module.py").write_text("raise SystemExit(3)\n")
    Path("notes.txt").write_text("notes")
    Path("empty").mkdir()
    Path("text.onnx").write_text("not a graph")
    write_graph(Path("four.onnx"), channels=4)
    write_graph(Path("fixed.onnx"), height=64)
    meta = make_meta({"camera_1": 3, "depth": 1})
    write_model(Path("ours"), 0, meta.model_copy(update={"classes": read_batch(yard).info.classes}))
    assert fault in refusal(capsys, code, name, yard)


@pytest.mark.parametrize("name", ["python_model.pkl", "data/model.pth", "weights.PT", "x.pickle"])
def test_a_pickle_is_refused_before_anything_is_loaded(
    yard: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = Path("pickled")
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {python_function: {loader_module: would_run_code}}\n")
    (folder / name).write_bytes(b"\x80\x04.")
    error = refusal(capsys, 1, folder, yard)
    assert f"pickled: holds the pickle {name}, which can run any code when it is loaded" in error


def test_an_mlflow_model_that_cannot_be_loaded_is_one_line(yard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd").mkdir()
    Path("odd/MLmodel").write_text("flavors: {}\n")
    assert "MLflow cannot load it" in refusal(capsys, 1, "odd", yard)


def test_onnx_without_its_runtime_names_the_fix(
    yard: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    error = refusal(capsys, 1, write_graph(Path("net.onnx")), yard)
    assert error.endswith("onnxruntime is not installed, which runs ONNX; run `pip install onnxruntime`\n")


def test_a_graph_with_an_input_that_the_batch_lacks(yard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = write_raw(Path("street")).root
    error = refusal(capsys, 1, write_graph(Path("net.onnx")), batch)
    assert "has no sensor 'thermal', which is an input of net.onnx" in error


def test_a_batch_that_cannot_be_scored_is_one_line(yard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere/batch.yaml: is missing" in refusal(capsys, 1, f"{MODULE}:by_any", "nowhere")
    error = refusal(capsys, 1, f"{MODULE}:by_any", yard, "--split", "test")
    assert "has no labelled frame of the split test" in error
    edit_frames(yard, lambda rows: [row.update(label="") for row in rows])
    assert "has no labelled frame that can be scored" in refusal(capsys, 1, f"{MODULE}:by_any", yard)


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_a_place_that_is_taken_is_left_alone(yard: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    mine = Path("out/thesis.txt" if taken == "folder" else "out")
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    assert command("audit", f"{MODULE}:by_any", yard, "out") == 2
    assert "exists and holds no audit; choose another folder" in capsys.readouterr().err
    assert mine.read_text() == "mine"


def test_an_earlier_report_is_replaced(yard: Path) -> None:
    assert audited(f"{MODULE}:by_any", yard).missing == "drop"
    assert audited(f"{MODULE}:by_camera", yard).missing == "zero"


def test_protocols_on_demand_are_on_the_page_and_in_tables(yard: Path) -> None:
    asked = ["--protocol", "degradations", "--protocol", "rmm", "--severity", "2", "--severity", "4"]
    chances = [f"--failure-probability={name}=0.25" for name in ("camera", "lidar", "thermal")]
    record = audited(f"{MODULE}:by_camera", yard, *asked, *chances)
    text = visible_text(Path("out/audit.html").read_text(encoding="utf-8"))
    assert "When a sensor gets worse" in text
    assert "motion blur" in text
    assert "When parts of the sensors are missing" in text
    assert "camera 0.25, lidar 0.25, thermal 0.25" in text
    assert "95 %, over 4 frames" in text
    assert "is believed" not in text  # no silent failure was tried
    curves = pd.read_csv("out/degradations.csv")
    fog = curves[(curves.sensor == "camera") & (curves.degradation == "fog")]
    assert fog.severity.tolist() == [2, 4]
    assert fog.miou.tolist() == pytest.approx([c.score for c in record.broken["camera"].degradations["fog"].values()])
    assert set(pd.read_csv("out/rmm.csv").missing_share) == {0.25, 0.5, 0.75}


@pytest.mark.parametrize("value", ["often", "camera=often", "camera"])
def test_a_probability_that_is_none_is_one_line(yard: Path, capsys: pytest.CaptureFixture[str], value: str) -> None:
    message = refusal(capsys, 2, f"{MODULE}:by_camera", yard, "--failure-probability", value)
    assert "give one number, or SENSOR=NUMBER for each sensor" in message
