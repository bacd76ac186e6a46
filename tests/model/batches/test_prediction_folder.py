"""A whole batch predicted: pictures and table, in a bounded memory."""

import json
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.predictions import FRAMES, table
from helpers.project_artifacts import write_raw
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.serving.batches import predict_batch
from sensorproof.serving.predictor import Predictor, load_predictor


def test_each_frame_has_its_pictures_and_its_row(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_batch(predictor, raw, out)
    assert sorted(path.name for path in out.iterdir()) == [
        "confidence", "labels", "overlay", "predictions.csv", "predictions.json",
    ]  # fmt: skip
    rows = table(out)
    assert rows.columns.tolist() == ["frame_id", "prediction", "confidence", "sensors", "left_out", "failing", "faults"]
    assert rows.left_out[:4].tolist() == ["", "depth: not given", "camera: not given", ""]
    (expected,) = predictor.predict([load_frame(raw, 3)[0].images])
    np.testing.assert_array_equal(Image.open(out / "labels/f3.png"), expected.labels)
    confidence = np.asarray(Image.open(out / "confidence/f3.png"))
    assert confidence.dtype == np.uint16
    np.testing.assert_allclose(confidence / 65535, expected.confidence, atol=1e-4)
    assert float(rows.confidence[3]) == pytest.approx(expected.confidence.mean(), abs=1e-4)
    assert Image.open(out / "overlay/f3.jpg").size == Image.open(out / "labels/f3.png").size
    assert json.loads((out / "predictions.json").read_text())["confidence"] == "value / 65535"


def test_an_overlay_shows_the_reference_or_what_was_used(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_batch(predictor, raw, out)
    colors = {c["id"]: c["color"] for c in json.loads((out / "predictions.json").read_text())["classes"]}
    for frame, sensor in (("f3", "camera"), ("f2", "depth")):
        labels = np.asarray(Image.open(out / f"labels/{frame}.png"))
        flat = np.array([[int(colors[i][k : k + 2], 16) for k in (1, 3, 5)] for i in labels.flat]).reshape(
            *labels.shape, 3
        )
        seen = 2 * np.asarray(Image.open(out / f"overlay/{frame}.jpg")).astype(float) - flat
        pixels = load_frame(raw, int(frame[1:]))[0].images[sensor]
        for channel in range(3):
            shown = np.nan_to_num(pixels[channel % len(pixels)])
            assert np.corrcoef(seen[..., channel].ravel(), shown.ravel())[0, 1] > 0.8


def test_the_table_says_why_a_sensor_was_left_out(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b")
    (tmp_path / "b/camera/f0.png").write_bytes(b"no picture")
    np.save(tmp_path / "b/depth/f3.npy", np.zeros((37, 45), np.float32))
    done = predict_batch(predictor, batch, tmp_path / "out")
    assert (done.frames, done.predicted, done.partial, done.broken) == (5, 5, 4, 2)
    rows = table(tmp_path / "out")
    assert rows.left_out[[0, 3]].tolist() == ["camera: cannot be used", "depth: cannot be used"]
    assert "depth/f3.npy: has no valid pixel" in rows.faults[3]
    predict_batch(predictor, batch, tmp_path / "blind", without=["camera"])
    rows = table(tmp_path / "blind")
    assert rows.left_out[4] == "camera: left out on request"
    assert rows.left_out[1] == "camera: left out on request; depth: not given"
    assert rows.loc[1, ["prediction", "confidence", "sensors"]].tolist() == ["", "", ""]
    assert {path.stem for path in (tmp_path / "blind/overlay").iterdir()} == {"f0", "f2", "f4"}


def test_a_frame_that_the_model_refuses_does_not_stop_the_others(predictor: Predictor, tmp_path: Path) -> None:
    """Zeros are depths to this batch, and empty pixels to the model."""
    write_raw(tmp_path / "b")
    info = tmp_path / "b/batch.yaml"
    info.write_text(info.read_text().replace("nodata: 0.0", "nodata: -1.0"))
    np.save(tmp_path / "b/depth/f2.npy", np.zeros((37, 45), np.float32))
    done = predict_batch(predictor, read_batch(tmp_path / "b"), tmp_path / "out")
    assert (done.predicted, done.broken) == (4, 1)
    rows = table(tmp_path / "out")
    assert rows.faults[2] == "frame: has no sensor with a valid pixel"
    assert rows.left_out[2] == "camera: not given; depth: has no valid pixel"


def test_the_table_says_which_sensor_failed_and_why(raw: Batch, undisturbed: dict[str, bytes]) -> None:
    rows = pd.read_csv(BytesIO(undisturbed["predictions.csv"]), keep_default_na=False, dtype=str)
    frozen = [*range(13, 19), *range(25, 29)]
    assert [i for i in range(FRAMES) if "camera: frozen" in rows.failing[i]] == frozen
    assert "camera: failing: frozen" in rows.left_out[frozen[0]]
    assert "camera: black" in rows.failing[8]
    assert "camera" not in rows.sensors[8].split("+")
    assert not rows.failing[2].startswith("camera")


def test_a_monitor_that_only_reports_leaves_no_sensor_out(raw: Batch, model: Path, tmp_path: Path) -> None:
    predictor = load_predictor(model, "cpu")
    done = predict_batch(predictor, raw, tmp_path / "out", monitor="report")
    assert done.failing >= 11
    rows = table(tmp_path / "out")
    assert rows.sensors[13] == "camera+depth"
    assert "camera: frozen" in rows.failing[13]
    off = predict_batch(predictor, raw, tmp_path / "off", monitor="off")
    assert off.failing == 0
    assert set(table(tmp_path / "off").failing) == {""}
    assert (tmp_path / "out/labels/f13.png").read_bytes() == (tmp_path / "off/labels/f13.png").read_bytes()


def test_memory_does_not_grow_with_the_batch(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b", ["train"] * 20)
    frames = pd.concat([batch.frames.assign(frame_id=lambda f, k=k: f"{k}-" + f.frame_id) for k in range(10)])
    many = Batch(batch.root, batch.info, frames.reset_index(drop=True))

    def peak(batch: Batch, out: str) -> int:
        tracemalloc.start()
        predict_batch(predictor, batch, tmp_path / out)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(batch, "first")
    # Their images would take five times what 20 frames take, the table's rows a fifth.
    assert peak(many, "many") < 1.5 * peak(batch, "few")
    assert len(table(tmp_path / "many")) == 200
