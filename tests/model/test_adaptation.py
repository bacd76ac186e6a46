"""`sensorproof adapt`: statistics from unlabelled frames of the field, in a model folder of its own."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.project_artifacts import command, make_meta, write_model, write_monitor, write_raw
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.prepare import prepare
from sensorproof.files import read_json
from sensorproof.serving.package import hash_model
from sensorproof.serving.predictor import load_predictor
from sensorproof.settings import DataSettings, SplitSettings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model", 3)
    return tmp_path / "model"


@pytest.fixture
def field(tmp_path: Path) -> Batch:
    """Unlabelled frames."""
    batch = write_raw(tmp_path / "field")
    table = pd.read_csv(batch.root / "frames.csv", dtype=str, keep_default_na=False)
    table.assign(label="", split="").to_csv(batch.root / "frames.csv", index=False)
    shutil.rmtree(batch.root / "label")
    return read_batch(batch.root)


def refusal(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    assert command("adapt", *arguments) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_the_statistics_are_those_that_training_on_the_frames_would_have(
    model: Path, field: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_monitor(model, tmp_path / "prepared")
    assert command("adapt", model, field.root, tmp_path / "adapted") == 0
    printed = capsys.readouterr().out
    assert "camera: 4 frames; mean moved by " in printed
    # The same five frames as the training part of a batch, as stage prepare measures them.
    write_raw(tmp_path / "raw/b", (*("train",) * 5, "val", "test"))
    settings = DataSettings(
        raw=str(tmp_path / "raw"),
        inbox="",
        quarantine="",
        size=[32, 40],
        standardize="dataset",
        full_resolution=False,
        split=SplitSettings(val=0.2, test=0.2, seed=0),
    )
    meta, _, _ = prepare(settings, tmp_path / "arrays")
    before, after = (load_predictor(folder, "cpu").description for folder in (model, tmp_path / "adapted"))
    for name, own in after.sensors.items():
        assert own.standardize == "field"
        assert own.mean == pytest.approx(meta.sensors[name].mean)
        assert own.std == pytest.approx(meta.sensors[name].std)
        assert own.mean != before.sensors[name].mean
    assert after.adapted is not None
    assert (after.adapted.batch, after.adapted.frames) == ("field", {"camera": 4, "depth": 4})
    assert after.adapted.model_sha256 == hash_model(model) != hash_model(tmp_path / "adapted")
    for name in ("model.safetensors", "monitor.json", "monitor.safetensors"):
        assert (tmp_path / "adapted" / name).read_bytes() == (model / name).read_bytes()
    assert "adapted" not in read_json(model / "model.json")


def test_frames_that_are_darker_in_the_field_are_predicted_as_in_training(
    model: Path, field: Batch, tmp_path: Path
) -> None:
    """The camera halves its values; the model is adapted to both, and its predictions are the same."""
    dark = tmp_path / "dark"
    shutil.copytree(field.root, dark)
    info = (dark / "batch.yaml").read_text().replace("name: field", "name: dark", 1)
    (dark / "batch.yaml").write_text(info)
    for path in (dark / "camera").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) // 2).save(path)
    for name in ("field", "dark"):
        assert command("adapt", model, tmp_path / name, tmp_path / f"to-{name}", "--sensor", "camera") == 0
    frame, darker = (load_frame(read_batch(tmp_path / name), 0)[0].images["camera"] for name in ("field", "dark"))
    light, adapted, unadapted = (
        load_predictor(tmp_path / folder, "cpu").predict([{"camera": image}])[0].confidence
        for folder, image in (("to-field", frame), ("to-dark", darker), ("to-field", darker))
    )
    assert np.abs(adapted - light).mean() < 0.1 * np.abs(unadapted - light).mean()
    sensors = load_predictor(tmp_path / "to-dark", "cpu").description.sensors
    assert (sensors["camera"].standardize, sensors["depth"].standardize) == ("field", "dataset")
    assert sensors["depth"] == make_meta().sensors["depth"]


def test_a_frame_that_cannot_be_read_is_left_out(model: Path, field: Batch, tmp_path: Path) -> None:
    (field.root / field.frames.camera.iloc[0]).write_bytes(b"no image")
    assert command("adapt", model, field.root, tmp_path / "adapted") == 0
    adapted = load_predictor(tmp_path / "adapted", "cpu").description.adapted
    assert adapted is not None
    assert adapted.frames == {"camera": 3, "depth": 3}


def test_what_cannot_be_adapted_is_one_line(
    model: Path, field: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapted"
    assert "['radar'] are unknown; the model has" in refusal(capsys, 2, model, field.root, out, "--sensor", "radar")
    assert "batch.yaml: is missing" in refusal(capsys, 1, model, tmp_path / "none", out)
    assert "exists and is not an empty folder" in refusal(capsys, 2, model, field.root, model)
    frame = make_meta()
    own = {n: s.model_copy(update={"standardize": "frame"}) for n, s in frame.sensors.items() if n == "camera"}
    write_model(tmp_path / "own", 3, frame.model_copy(update={"sensors": {**frame.sensors, **own}}))
    named = refusal(capsys, 2, tmp_path / "own", field.root, out, "--sensor", "camera")
    assert "['camera'] are standardised by each frame; name others" in named
    write_model(tmp_path / "alone", 3, frame.model_copy(update={"sensors": own}))
    assert "are standardised by each frame; use it as it is" in refusal(capsys, 2, tmp_path / "alone", field.root, out)
    for path in (field.root / "camera").iterdir():
        Image.fromarray(np.full_like(np.asarray(Image.open(path)), 7)).save(path)
    assert "camera: channel 0 has one value in all frames" in refusal(capsys, 1, model, field.root, out)
    for path in (field.root / "depth").iterdir():
        np.save(path, np.zeros_like(np.load(path)))
    assert "has no valid pixel of depth" in refusal(capsys, 1, model, field.root, out, "--sensor", "depth")
    assert not out.exists()
