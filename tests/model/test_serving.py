"""The packaged model: the same labels as in training, whichever sensors are there, from files as they come."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from helpers.project_artifacts import (
    SENSORS,
    SIZE,
    command,
    write_model,
    write_raw,
)
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.frame_checks import load_frame
from sensorproof.data.prepare import prepare
from sensorproof.errors import BatchError, SensorproofError, UsageError
from sensorproof.serving.batches import predict_batch
from sensorproof.serving.predictor import Predictor, load_predictor
from sensorproof.settings import DataSettings, SplitSettings


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return write_raw(tmp_path_factory.mktemp("raw") / "b")


@pytest.fixture(scope="module")
def data(raw: Batch, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """The batch as stage prepare leaves it."""
    split = SplitSettings(val=0.2, test=0.2, seed=0)
    out = tmp_path_factory.mktemp("artifacts") / "prepared"
    prepare(
        DataSettings(
            raw=str(raw.root.parent),
            inbox="",
            quarantine="",
            size=list(SIZE),
            standardize="dataset",
            full_resolution=False,
            split=split,
        ),
        out,
    )
    return PreparedDataset(out)


@pytest.fixture(scope="module")
def folder(data: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for that data."""
    path = tmp_path_factory.mktemp("train") / "model"
    write_model(path, 3, data.meta)
    return path


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return load_predictor(folder, "cpu")


def labels(
    predictor: Predictor, frames: list[dict[str, NDArray]], size: tuple[int, int] | None = None
) -> list[NDArray]:
    return [prediction.labels for prediction in predictor.predict(frames, size)]


def images(batch: Batch, row: int) -> dict[str, NDArray[np.float32]]:
    return load_frame(batch, row)[0].images


def test_raw_files_give_the_labels_that_the_training_path_gives(
    raw: Batch, data: PreparedDataset, predictor: Predictor
) -> None:
    rows = data.frames.index.to_numpy()
    batch = data.batch(rows)
    with torch.inference_mode():
        places = predictor.model(batch.inputs, batch.present).argmax(1).numpy()
    ids = np.array([c.id for c in data.meta.classes], np.uint8)
    assert len(np.unique(places)) > 1
    ours = labels(predictor, [images(raw, row) for row in rows], SIZE)
    for mine, theirs in zip(ours, ids[places], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("kept", ["camera", "depth"])
def test_a_missing_sensor_is_as_if_it_had_never_been_there(
    raw: Batch, data: PreparedDataset, predictor: Predictor, kept: str
) -> None:
    batch = data.batch(np.array([0, 3]))
    with torch.inference_mode():
        places = predictor.model({kept: batch.inputs[kept]}).argmax(1).numpy()
    frames = [images(raw, row) for row in (0, 3)]
    other = next(name for name in SENSORS if name != kept)
    unimodal = labels(predictor, [{kept: f[kept]} for f in frames], SIZE)
    np.testing.assert_array_equal(unimodal, predictor.ids[places])
    empty = np.full((SENSORS[other], 1, 1), np.nan)
    np.testing.assert_array_equal(labels(predictor, [{**f, other: empty} for f in frames], SIZE), unimodal)
    assert not np.array_equal(labels(predictor, frames, SIZE), unimodal)


def test_frames_of_one_pass_do_not_touch_each_other(raw: Batch, predictor: Predictor) -> None:
    frames = [images(raw, row) for row in range(len(raw.frames))]
    together = labels(predictor, frames)
    for frame, label in zip(frames, together, strict=True):
        np.testing.assert_array_equal(labels(predictor, [frame])[0], label)
    assert [label.shape for label in together] == [(50, 61), (50, 61), (37, 45), (50, 61), (50, 61)]


def test_a_prediction_says_what_it_rests_on_and_how_sure_it_is(raw: Batch, predictor: Predictor) -> None:
    frame = images(raw, 0)
    (whole,) = predictor.predict([frame])
    assert (whole.used, whole.left_out) == (("camera", "depth"), {})
    blank = np.full_like(frame["depth"], np.nan)
    (partial,) = predictor.predict([{"camera": frame["camera"], "depth": blank}])
    assert (partial.used, partial.left_out) == (("camera",), {"depth": "has no valid pixel"})
    (lone,) = predictor.predict([{"depth": frame["depth"]}], SIZE)
    assert (lone.used, lone.left_out) == (("depth",), {"camera": "not given"})
    inputs, present = predictor.tensors([{"depth": frame["depth"]}])
    with torch.inference_mode():
        expected = predictor.model(inputs, present).softmax(1).amax(1)[0].numpy()
    assert lone.confidence.shape == lone.labels.shape
    np.testing.assert_allclose(lone.confidence, expected, rtol=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    camera=st.tuples(st.integers(1, 70), st.integers(1, 70)), depth=st.tuples(st.integers(1, 70), st.integers(1, 70))
)
def test_any_size_gives_class_ids_at_the_size_of_the_reference(
    predictor: Predictor, camera: tuple[int, int], depth: tuple[int, int]
) -> None:
    rng = np.random.default_rng(0)
    frame = {"camera": rng.integers(0, 256, (3, *camera)), "depth": rng.uniform(1, 50, (1, *depth))}
    (label,) = labels(predictor, [frame])
    assert label.shape == camera
    assert label.dtype == np.uint8
    assert set(np.unique(label)) <= {c.id for c in predictor.description.classes}
    assert labels(predictor, [{"depth": frame["depth"]}])[0].shape == depth


def test_nodata_and_what_is_not_finite_are_invalid(raw: Batch, predictor: Predictor) -> None:
    frame = images(raw, 0)
    as_zero = np.nan_to_num(frame["depth"], nan=0.0)
    as_infinite = np.nan_to_num(frame["depth"], nan=np.inf)
    expected = labels(predictor, [frame])[0]
    for depth in (as_zero, as_infinite):
        np.testing.assert_array_equal(labels(predictor, [{**frame, "depth": depth}])[0], expected)
    beyond = np.full_like(frame["depth"], 1e30)
    assert np.isfinite(predictor.tensors([{"depth": beyond}])[0]["depth"].numpy()).all()


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        ({}, "has no sensor with a valid pixel"),
        ({"depth": np.zeros((1, 4, 4))}, "has no sensor with a valid pixel"),
        ({"radar": np.ones((1, 4, 4))}, "radar: is unknown"),
        ({"camera": np.ones((1, 4, 4))}, r"shape \(1, 4, 4\)"),
        ({"camera": np.ones((4, 4))}, r"shape \(4, 4\)"),
        ({"camera": np.ones((3, 0, 4))}, r"shape \(3, 0, 4\)"),
        ({"camera": np.full((3, 4, 4), "x")}, "holds <U1"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(predictor: Predictor, frame: dict, fault: str) -> None:
    with pytest.raises(SensorproofError, match=fault):
        predictor.predict([frame])


def test_a_batch_is_predicted_file_by_file(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    done = predict_batch(predictor, raw, tmp_path / "out")
    assert (done.frames, done.predicted, done.partial, done.broken) == (5, 5, 2, 0)
    table = pd.read_csv(tmp_path / "out/predictions.csv", keep_default_na=False)
    assert table.frame_id.tolist() == [f"f{i}" for i in range(5)]
    assert table.sensors.tolist() == ["camera+depth", "camera", "depth", "camera+depth", "camera+depth"]
    for row, file in enumerate(table.prediction):
        written = np.asarray(Image.open(tmp_path / "out" / file))
        np.testing.assert_array_equal(written, labels(predictor, [images(raw, row)])[0])


def test_a_sensor_can_be_left_out(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    done = predict_batch(predictor, raw, tmp_path / "out", without=["camera"])
    assert (done.frames, done.predicted, done.partial) == (5, 4, 4)
    table = pd.read_csv(tmp_path / "out/predictions.csv", keep_default_na=False)
    assert table.sensors.tolist() == ["depth", "", "depth", "depth", "depth"]
    assert table.prediction[1] == ""
    for wrong in (["radar"], ["camera", "depth"]):
        with pytest.raises(UsageError):
            predict_batch(predictor, raw, tmp_path / "other", without=wrong)


def test_broken_files_are_counted_and_the_rest_is_predicted(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b")
    truncate(tmp_path / "b/camera/f0.png")
    (tmp_path / "b/camera/f1.png").unlink()
    truncate(tmp_path / "b/label/f3.png")
    done = predict_batch(predictor, batch, tmp_path / "out")
    assert (done.frames, done.predicted, done.partial, done.broken) == (5, 4, 2, 2)
    table = pd.read_csv(tmp_path / "out/predictions.csv", keep_default_na=False)
    assert table.sensors.tolist() == ["depth", "", "depth", "camera+depth", "camera+depth"]
    assert "camera/f0.png: is not a whole image" in table.faults[0]
    assert "camera/f1.png: is missing" in table.faults[1]
    assert sorted(p.name for p in (tmp_path / "out/labels").iterdir()) == ["f0.png", "f2.png", "f3.png", "f4.png"]


def test_nothing_is_left_where_no_frame_can_be_predicted(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b")
    for path in [*tmp_path.glob("b/camera/*"), *tmp_path.glob("b/depth/*")]:
        truncate(path)
    with pytest.raises(SensorproofError, match="no frame could be predicted"):
        predict_batch(predictor, batch, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("name: wall", "name: fence", "classes differ"),
        ("id: 23", "id: 24", "classes differ"),
        ("channels: 1", "channels: 2", "depth: channels is 2"),
        ("- 50.0", "- 80.0", "depth: range is"),
        ("kind: depth", "kind: lidar", "depth: kind is lidar"),
    ],
)
def test_a_batch_that_means_something_else_is_refused(
    predictor: Predictor, tmp_path: Path, before: str, after: str, fault: str
) -> None:
    write_raw(tmp_path / "b")
    info = tmp_path / "b/batch.yaml"
    assert before in info.read_text()
    info.write_text(info.read_text().replace(before, after))
    with pytest.raises(BatchError, match=fault):
        predict_batch(predictor, read_batch(tmp_path / "b"), tmp_path / "out")


def test_only_predictions_are_written_over_and_only_by_force(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    predict_batch(predictor, raw, out)
    with pytest.raises(UsageError, match="--force"):
        predict_batch(predictor, raw, out)
    predict_batch(predictor, raw, out, without=["depth"], force=True)
    assert (pd.read_csv(out / "predictions.csv", keep_default_na=False).sensors != "camera+depth").all()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()
    for taken in (tmp_path / "mine", raw.root / "out", raw.root, raw.root.parent):
        with pytest.raises(UsageError):
            predict_batch(predictor, raw, taken, force=True)
    assert (tmp_path / "mine/thesis.txt").exists()


def test_frame_ids_that_are_no_file_names_stay_in_the_folder(predictor: Predictor, tmp_path: Path) -> None:
    write_raw(tmp_path / "b")
    table = tmp_path / "b/frames.csv"
    table.write_text(table.read_text().replace("\nf0,", "\n../../f0,").replace("\nf1,", "\nf/1,"))
    predict_batch(predictor, read_batch(tmp_path / "b"), tmp_path / "out")
    predictions = pd.read_csv(tmp_path / "out/predictions.csv")
    assert predictions.frame_id[0] == "../../f0"
    assert predictions.prediction.is_unique
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "out"]
    assert len(list((tmp_path / "out/labels").iterdir())) == 5


def test_the_command_predicts_with_a_model_folder(
    raw: Batch, folder: Path, predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command("predict", folder, raw.root, out, "--without", "camera", "--device", "cpu") == 0
    assert "4 of 5 frames predicted, 4 of them without some sensor" in capsys.readouterr().out
    written = np.asarray(Image.open(out / "labels/f0.png"))
    np.testing.assert_array_equal(written, labels(predictor, [{"depth": images(raw, 0)["depth"]}])[0])


@pytest.mark.parametrize(
    ("model", "code", "fault"),
    [
        ("nowhere", 1, "nowhere/model.json: is missing"),
        ("models:/", 2, "models:/: is not the address of a model"),
        ("models:/sensorproof/x", 2, "is not the address of a model"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(
    raw: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, code: int, fault: str
) -> None:
    assert command("predict", model, raw.root, tmp_path / "out") == code
    error = capsys.readouterr().err
    assert fault in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
