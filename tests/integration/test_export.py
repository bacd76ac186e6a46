"""Exported models: the labels of the predictor, for every subset of the sensors, without our code."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from helpers.project_artifacts import command, make_meta, write_model, write_raw
from sensorproof import audit
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.data.preprocessing import LARGEST_FLOAT16, mark_invalid, resize_image, scale
from sensorproof.evaluation.subsets import all_subsets
from sensorproof.serving.export import FORMATS
from sensorproof.serving.exported import example
from sensorproof.serving.graph import Graph
from sensorproof.serving.predictor import Predictor, load_predictor

CHANNELS = {"camera": 3, "depth": 1, "thermal": 2}
SUBSETS = list(all_subsets(CHANNELS))
AGREEMENT = 0.9999
"""Share of pixels with the same label."""
ONNX = pytest.mark.parametrize("exported", ["onnx"], indirect=True)
"""For what only ONNX graphs have, or what the test of the example shows for both formats."""
Run = Callable[[list[torch.Tensor]], list[NDArray]]
Frame = dict[str, NDArray]
PREDICT = """
import sys
sys.modules |= dict.fromkeys(("sensorproof", "cv2", "transformers", "onnx"))
sys.path.insert(0, "exported")
import numpy as np
from pathlib import Path
from example import Model
model = Model(Path("exported"))
frames = dict(np.load("frames.npz"))
answers = {}
for key in sorted({name.split("/")[0] for name in frames}):
    frame = {name: frames.get(f"{key}/{name}") for name in model.sensors}
    answers[f"{key}/labels"], answers[f"{key}/confidence"] = model.predict(frame)
np.savez("answers.npz", **answers)
"""


def meta() -> PreparedMeta:
    """A camera, a depth sensor with nodata by the frame, and a thermal sensor of 16 bits, stored as float32."""
    base = make_meta(CHANNELS)
    depth = base.sensors["depth"].model_copy(update={"standardize": "frame"})
    thermal = SensorInput(
        kind="thermal",
        channels=2,
        range=(0.0, 65535.0),
        nodata=None,
        mean=(0.45, 0.47),
        std=(0.004, 0.02),
        stored="float32",
    )
    return base.model_copy(update={"sensors": {**base.sensors, "depth": depth, "thermal": thermal}})


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("train") / "model"
    write_model(folder, 3, meta())
    return load_predictor(folder, "cpu")


@pytest.fixture(scope="module", params=FORMATS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command writes."""
    root = tmp_path_factory.mktemp(request.param)
    write_model(root / "model", 3, meta())
    assert command("export", root / "model", root / "exported", "--format", request.param) == 0
    return root / "exported"


@pytest.fixture(scope="module")
def run(exported: Path) -> Run:
    """The graph in its own runtime."""
    if (exported / "model.onnx").exists():
        session = onnxruntime.InferenceSession(exported / "model.onnx")
        names = [each.name for each in session.get_inputs()]
        return lambda inputs: session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))
    program = torch.export.load(exported / "model.pt2").module()
    return lambda inputs: [output.detach().numpy() for output in program(*inputs)]


def raw(size: tuple[int, int], batch: int = 1, seed: int = 0) -> list[torch.Tensor]:
    """Images (B, C, H, W) in the sensors' own units, with invalid pixels."""
    rng = np.random.default_rng(seed)
    camera = rng.integers(0, 256, (batch, 3, *size)).astype(np.float32)
    depth = rng.uniform(1, 50, (batch, 1, *size)).astype(np.float32)
    depth[..., : size[0] // 4, :] = 0
    thermal = rng.normal(30000, 300, (batch, 2, *size)).astype(np.float32)
    thermal[:, 1, size[0] // 2 :, 0] = np.nan
    camera[:, :, 0, 0] = np.inf
    return [torch.from_numpy(x) for x in (camera, depth, thermal)]


def agreement(ours: NDArray, theirs: NDArray) -> float:
    return float((ours == theirs).mean())


def check(predictor: Predictor, run: Run, images: list[torch.Tensor], present: torch.Tensor) -> None:
    """Compare with the graph's own module in torch."""
    graph = Graph(predictor.model, predictor.description).eval()
    with torch.inference_mode():
        expected = [output.numpy() for output in graph(*images, present)]
    for mine, theirs in zip(run([*images, present]), expected, strict=True):
        assert mine.shape == theirs.shape
        assert agreement(mine.argmax(1), theirs.argmax(1)) >= AGREEMENT
        np.testing.assert_allclose(mine, theirs, atol=1e-3)


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
@pytest.mark.parametrize("size", [(32, 40), (75, 50)])
def test_every_subset_gives_torchs_labels(
    predictor: Predictor, run: Run, subset: tuple[str, ...], size: tuple[int, int]
) -> None:
    present = torch.tensor([[name in subset for name in CHANNELS]])
    check(predictor, run, raw(size), present)


@pytest.mark.parametrize("size", [(32, 40), (97, 131), (32, 32), (33, 64), (31, 90), (8, 5), (1, 1)])
def test_samples_of_a_batch_may_lack_different_sensors(predictor: Predictor, run: Run, size: tuple[int, int]) -> None:
    present = torch.tensor([[name in subset for name in CHANNELS] for subset in SUBSETS])
    for rows in (present[:3], present):
        check(predictor, run, raw(size, len(rows)), rows)


def test_what_an_absent_sensor_holds_does_not_matter(run: Run) -> None:
    images = raw((32, 40))
    present = torch.tensor([[True, False, True]])
    expected = run([*images, present])[0]
    for value in (torch.nan, torch.inf, -1e30, 7.0):
        other = [images[0], torch.full_like(images[1], value), images[2]]
        np.testing.assert_array_equal(run([*other, present])[0], expected)


def test_the_graph_normalises_as_training_does(predictor: Predictor) -> None:
    """Against the predictor's own tensors, from a frame that needs no resizing."""
    images = raw((32, 40))
    images[0][0, :, 5, :4] = torch.tensor([1e9, -1e9, LARGEST_FLOAT16 * 255, 300])
    frame = {name: image[0].numpy() for name, image in zip(CHANNELS, images, strict=True)}
    inputs, _ = predictor.tensors([predictor.present(frame)])
    graph = Graph(predictor.model, predictor.description)
    for step, image, name in zip(graph.normalizers, images, CHANNELS, strict=True):
        np.testing.assert_array_equal(step(image).numpy(), inputs[name].numpy())


def test_the_graph_rounds_as_prepared_images_are_rounded(run: Run) -> None:
    """Two images that differ by a fifth of a step of float16 are the same to the model."""
    steps = torch.randint(1024, (1, 3, 32, 40), generator=torch.Generator().manual_seed(0))
    rest = [*raw((32, 40))[1:], torch.ones(1, 3, dtype=torch.bool)]
    answers = [run([(0.5 + (steps + part) / 2048) * 255, *rest])[0] for part in (0.0, 0.2, 0.8)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def frames() -> list[Frame]:
    """Frames as sensors deliver them: integers, other sizes, nodata, NaN, values beyond the range, odd types."""
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 50, (1, 37, 45)).astype(np.float32)
    depth[0, :5], depth[0, 6, 7] = 0, np.nan
    broken = rng.uniform(0, 255, (3, 64, 80))
    broken[0, 3:9, 4:8] = np.nan
    thermal = rng.normal(30000, 300, (2, 60, 81)).astype(np.uint16)
    return [
        {
            "camera": rng.integers(0, 256, (3, 50, 61)).astype(np.uint8),
            "depth": depth,
            "thermal": thermal,
        },
        {
            "camera": broken,
            "depth": rng.integers(0, 60, (1, 32, 40)).astype(np.int16),
            "thermal": rng.normal(30000, 300, (2, 20, 24)),
        },
        {
            "camera": rng.integers(0, 256, (3, 20, 70)).astype(np.float64),
            "depth": np.where(rng.random((1, 128, 120)) < 0.1, 1e30, 20.0),
            "thermal": rng.normal(30000, 300, (2, 32, 40)).astype(np.float32),
        },
    ]


def test_the_example_gives_the_predictors_labels_without_our_code(predictor: Predictor, exported: Path) -> None:
    cases = {
        f"{i}-{'+'.join(subset)}": {name: frame[name] for name in subset}
        for i, frame in enumerate(frames())
        for subset in SUBSETS
    }
    cases["blank"] = {**frames()[0], "depth": np.zeros((1, 9, 9))}
    root = exported.parent
    np.savez(root / "frames.npz", **{f"{key}/{name}": x for key, frame in cases.items() for name, x in frame.items()})
    subprocess.run([sys.executable, "-c", PREDICT], cwd=root, check=True)
    answers = np.load(root / "answers.npz")
    for key, frame in cases.items():
        (expected,) = predictor.predict([frame])
        assert answers[f"{key}/labels"].shape == expected.labels.shape
        assert agreement(answers[f"{key}/labels"], expected.labels) >= AGREEMENT, key
        np.testing.assert_allclose(answers[f"{key}/confidence"], expected.confidence, atol=2e-3)
    assert len(np.unique(answers["0-camera+depth+thermal/labels"])) > 1


@ONNX
def test_the_example_runs_on_random_frames(exported: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, exported / "example.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    titles = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert titles == ["all sensors", *(f"without {name}" for name in CHANNELS)]


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ({}, "no sensor has a valid pixel"),
        ({"depth": np.zeros((1, 4, 4))}, "no sensor has a valid pixel"),
        ({"radar": np.ones((1, 4, 4))}, "radar has the shape"),
        ({"camera": np.ones((4, 4))}, r"camera has the shape \(4, 4\)"),
    ],
)
def test_the_example_names_what_it_cannot_use(
    exported: Path, monkeypatch: pytest.MonkeyPatch, frame: Frame, fault: str
) -> None:
    monkeypatch.setattr(example, "_load", lambda path: None)
    with pytest.raises(ValueError, match=fault):
        example.Model(exported).predict(frame)


@pytest.mark.parametrize("kind", ["valid", "nodata", "nan"])
def test_the_example_resizes_as_training_does(kind: str) -> None:
    nodata = 0.0 if kind == "nodata" else None
    sensor = SensorInput(kind="depth", channels=1, range=(2.0, 12.0), nodata=nodata, mean=(0.0,), std=(1.0,))
    rng = np.random.default_rng(0)
    for height, width, *size in [*rng.integers(1, 150, (300, 4)).tolist(), [64, 80, 32, 40], [4, 6, 6, 4]]:
        pixels = rng.uniform(1, 14, (1, height, width)).astype(np.float32)
        if kind == "nan":
            pixels[0, height // 2, width // 2] = np.nan
        if kind == "nodata":
            pixels[0, : height // 2] = 0
        values = mark_invalid(pixels, nodata)
        np.testing.assert_array_equal(example.mark_invalid(pixels, nodata), values)
        expected = resize_image(scale(values, sensor), tuple(size), sensor)
        mine = scale(example.fit(values, sensor.model_dump(), tuple(size)), sensor)
        np.testing.assert_allclose(mine, expected, atol=1e-5, rtol=0)


def test_the_folder_holds_what_it_needs_and_nothing_of_this_machine(exported: Path) -> None:
    about = json.loads((exported / "model.json").read_text())
    assert sorted(p.name for p in exported.iterdir()) == sorted(["example.py", "model.json", about["graph"]])
    assert about["inputs"] == [*CHANNELS, "present"]
    assert [about["sensors"][name]["stored"] for name in CHANNELS] == ["float16", "float16", "float32"]
    content = (exported / about["graph"]).read_bytes()
    if about["graph"].endswith(".pt2"):
        with zipfile.ZipFile(exported / about["graph"]) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        assert not any(part.startswith((b"\x80\x02", b"PK")) for part in parts.values()), "a pickle"
        assert b'"use_pickle": true' not in b"".join(parts.values())
        content = b"".join(parts.values())
    assert not re.search(rb"site-packages|/[\w.-]+/[\w./-]+\.py\b", content)


@ONNX
def test_onnx_names_its_inputs_and_the_sides_that_are_open(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    shapes = {each.name: each.shape for each in session.get_inputs()}
    assert shapes == {n: ["batch", c, "height", "width"] for n, c in CHANNELS.items()} | {"present": ["batch", 3]}
    assert {each.name: each.shape for each in session.get_outputs()} == {
        "logits": ["batch", 3, "height", "width"],
        "coarse_logits": ["batch", 3, "coarse_height", "coarse_width"],
    }


@ONNX
def test_an_exported_graph_is_audited_with_its_preprocessing(
    predictor: Predictor, exported: Path, tmp_path: Path
) -> None:
    batch = write_raw(tmp_path / "yard")
    ours, theirs = audit(predictor, batch), audit(exported, batch)
    assert theirs.record.kind == "an ONNX export of Sensorproof"
    assert theirs.missing == ours.missing == "drop"
    assert theirs.scores.subsets == pytest.approx(ours.scores.subsets, abs=0.5)
    assert audit(exported / "model.onnx", batch).scores == theirs.scores
