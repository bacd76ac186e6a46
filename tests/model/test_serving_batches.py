"""A whole batch predicted: pictures and table, in shards, after a kill, and in a bounded memory."""

import json
import shutil
import signal
import time
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from helpers.predictions import copy, files, finish, start
from helpers.project_artifacts import command, write_model, write_monitor, write_raw
from sensorproof.data.batch import Batch, read_batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.locks import BusyError
from sensorproof.serving.batches import predict_batch
from sensorproof.serving.predictor import Prediction, Predictor, load_predictor
from sensorproof.serving.shards import Shard

FRAMES = 40
"""Passes of 16, 16 and 8 frames; the borders of three shards lie within passes."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """One sequence; the camera shows nothing in one frame, and freezes twice: across passes, and across shards."""
    batch = write_raw(tmp_path_factory.mktemp("raw") / "b", ["train"] * FRAMES)
    for first, frozen in ((12, range(13, 19)), (24, range(25, 29))):
        for frame in frozen:
            shutil.copy(batch.root / f"camera/f{first}.png", batch.root / f"camera/f{frame}.png")
    for path in batch.root.glob("depth/*.npy"):  # noise would be a failure, too
        depth = np.load(path)
        np.save(path, np.where(depth > 0, 30 + 0.1 * depth + np.linspace(-10, 10, 45), depth).astype(np.float32))
    Image.new("RGB", (61, 50)).save(batch.root / "camera/f8.png")
    return batch


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a monitor."""
    folder = tmp_path_factory.mktemp("train") / "model"
    write_model(folder, 3)
    write_monitor(folder, tmp_path_factory.mktemp("prepared"))
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a monitor."""
    folder = tmp_path_factory.mktemp("train") / "model"
    write_model(folder, 3)
    return folder


@pytest.fixture(scope="module")
def predictor(plain: Path) -> Predictor:
    return load_predictor(plain, "cpu")


@pytest.fixture(scope="module")
def undisturbed(raw: Batch, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that was not interrupted."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert finish(start(model, raw.root, out)) == 0
    return files(out)


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "predictions.csv", keep_default_na=False, dtype=str)


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


# A run of 40 frames syncs once for predictions.json, six times a frame, once a pass, twice for predictions.csv.
MOMENTS = ["fsync 1", "fsync 2", "fsync 5", "fsync 97", "fsync 98", "fsync 120", "fsync 245", "fsync 246", "unlink 1"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_and_ends_as_if_undisturbed(
    raw: Batch, model: Path, undisturbed: dict[str, bytes], tmp_path: Path, moment: str
) -> None:
    out = tmp_path / "out"
    assert finish(start(model, raw.root, out, die=moment)) == -signal.SIGKILL
    assert (out / "predictions.csv").exists() == (moment in MOMENTS[-2:])
    kept = {path: path.stat().st_mtime_ns for path in (out / "labels").glob("[!.]*")}
    assert finish(start(model, raw.root, out)) == 0
    assert files(out) == undisturbed
    anew = sum(path.stat().st_mtime_ns != before for path, before in kept.items())
    assert anew <= 1


def test_a_run_killed_from_outside_again_and_again_ends(
    raw: Batch, model: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for least in (5, 20):
        process = start(model, raw.root, out)
        while len(list((out / "labels").glob("[!.]*"))) < least:
            assert process.is_alive()
            time.sleep(0.002)
        process.kill()
        assert finish(process) == -signal.SIGKILL
        assert not (out / "predictions.csv").exists()
    assert finish(start(model, raw.root, out)) == 0
    assert files(out) == undisturbed


def test_pictures_that_were_lost_are_made_again(
    raw: Batch, model: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finish(start(model, raw.root, out, die="fsync 120"))
    (out / "overlay/f2.jpg").unlink()
    assert finish(start(model, raw.root, out)) == 0
    assert files(out) == undisturbed


def test_shards_at_the_same_time_give_the_same_files(
    raw: Batch, model: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    both = [start(model, raw.root, out, shard) for shard in ("1/3", "2/3")]
    assert [finish(process) for process in both] == [0, 0]
    assert not (out / "predictions.csv").exists()
    assert len(list((out / "labels").iterdir())) == 26
    assert finish(start(model, raw.root, out, "3/3", die="fsync 25")) == -signal.SIGKILL
    assert list((out / "labels").glob(".*"))
    assert finish(start(model, raw.root, out, "3/3", die="unlink 3")) == -signal.SIGKILL
    assert sorted(path.name for path in out.glob("predictions-*")) == [
        "predictions-2-of-3.csv",
        "predictions-3-of-3.csv",
    ]
    assert finish(start(model, raw.root, out, "3/3")) == 0
    assert files(out) == undisturbed


def test_shards_from_two_machines_are_put_together_by_a_second_call(
    raw: Batch, model: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    for shard in ("1/2", "2/2"):
        assert finish(start(model, raw.root, tmp_path / shard[0], shard)) == 0
    out = copy(tmp_path / "2", tmp_path / "1")
    assert finish(start(model, raw.root, out, "2/2")) == 0
    assert files(out) == undisturbed


def test_the_model_sees_the_same_frames_together_in_any_shard(
    raw: Batch, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the last bits of a confidence may depend on the shard, on some devices."""
    passes: list[list[float]] = []
    predict = predictor.predict

    def record(frames: list[dict[str, NDArray]], **options: Any) -> list[Prediction]:
        passes.append([float(np.nansum(pixels)) for frame in frames for pixels in frame.values()])
        return predict(frames, **options)

    monkeypatch.setattr(predictor, "predict", record)
    predict_batch(predictor, raw, tmp_path / "whole")
    whole = passes.copy()
    passes.clear()
    predict_batch(predictor, raw, tmp_path / "out", shard=Shard(2, 3))
    assert len(whole) == 3
    assert passes == whole[:2]
    interrupt(predictor, raw, tmp_path / "part")
    rows = (tmp_path / "part/predictions-1-of-1.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "part/predictions-1-of-1.csv").write_bytes(b"".join(rows[:8]))
    passes.clear()
    predict_batch(predictor, raw, tmp_path / "part")
    assert passes == whole


def test_more_shards_than_frames(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b")
    done = [predict_batch(predictor, batch, tmp_path / "out", shard=shard) for shard in Shard(1, 7).all()]
    assert sum(each.predicted for each in done) == 5
    assert [len(each.waiting) for each in done] == [6, 5, 4, 3, 2, 1, 0]
    assert len(table(tmp_path / "out")) == 5


def test_a_shard_without_a_prediction_is_no_error_but_a_batch_is(predictor: Predictor, tmp_path: Path) -> None:
    batch = write_raw(tmp_path / "b")
    for path in [*tmp_path.glob("b/camera/f[01].png"), *tmp_path.glob("b/depth/f[01].npy")]:
        path.unlink()
    first = predict_batch(predictor, batch, tmp_path / "out", shard=Shard(1, 3))
    assert (first.frames, first.predicted) == (1, 0)
    for path in [*tmp_path.glob("b/camera/*"), *tmp_path.glob("b/depth/*")]:
        path.unlink()
    predict_batch(predictor, batch, tmp_path / "none", shard=Shard(1, 2))
    with pytest.raises(SensorproofError, match=r"no frame could be predicted \(camera/f0.png: is missing"):
        predict_batch(predictor, batch, tmp_path / "none", shard=Shard(2, 2))
    assert not (tmp_path / "none").exists()


def interrupt(predictor: Predictor, batch: Batch, out: Path, shard: Shard | None = None) -> None:
    """Predict the first pass only."""

    def stop(done: int, frames: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_batch(predictor, batch, out, shard=shard, progress=stop)


def test_unfinished_work_goes_on_only_with_the_same(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    out = tmp_path / "out"
    interrupt(predictor, raw, out)
    before = files(out)
    write_model(tmp_path / "other", 4)
    other = load_predictor(tmp_path / "other", "cpu")
    renamed = write_raw(tmp_path / "c", ["train"] * FRAMES)
    changed = write_raw(tmp_path / "b", ["train"] * (FRAMES - 1))
    calls: list[tuple[Predictor, Batch, dict[str, Any], str]] = [
        (other, raw, {}, "unfinished predictions of another model"),
        (predictor, renamed, {}, r"unfinished predictions of another batch \(b, not c\)"),
        (predictor, changed, {}, r"unfinished predictions of another batch \(b, but not as it is now\)"),
        (predictor, raw, {"without": ["depth"]}, r"other options \(--monitor off, not --without depth --"),
        (
            predictor,
            raw,
            {"shard": Shard(1, 2)},
            "in 1 shard, not 2; go on with no --shard, or start anew with --force",
        ),
    ]
    for model, batch, options, fault in calls:
        with pytest.raises(UsageError, match=fault) as caught:
            predict_batch(model, batch, out, **options)
        assert "\n" not in str(caught.value)
        assert files(out) == before
    predict_batch(predictor, raw, out, without=["depth"], force=True)
    assert set(table(out).sensors) == {"camera", ""}


def test_force_replaces_what_is_complete_and_goes_on_with_the_same_unfinished(
    raw: Batch, predictor: Predictor, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_batch(predictor, raw, out, without=["depth"])
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds predictions already"):
        predict_batch(predictor, raw, out, without=["depth"])
    seen: list[tuple[int, int]] = []
    for number in (1, 2):
        shard = Shard(number, 2)
        predict_batch(predictor, raw, out, shard=shard, force=True, progress=lambda *done: seen.append(done))
    assert seen == [(0, 20), (16, 20), (20, 20), (0, 20), (12, 20), (20, 20)]
    assert len(table(out)) == FRAMES
    assert set(table(out).sensors) == {"camera+depth", "camera", "depth"}
    assert (out / "notes.txt").read_text() == "mine"
    interrupt(predictor, raw, tmp_path / "part")
    seen.clear()
    predict_batch(predictor, raw, tmp_path / "part", force=True, progress=lambda *done: seen.append(done))
    assert seen == [(16, 40), (32, 40), (40, 40)]


def test_predictions_of_an_older_version_are_replaced_only_by_force(
    raw: Batch, predictor: Predictor, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "labels").mkdir(parents=True)
    (out / "labels/old.png").touch()
    (out / "predictions.csv").write_text("frame_id,prediction,sensors,faults\n")
    before = files(out)
    with pytest.raises(UsageError, match="holds predictions already"):
        predict_batch(predictor, raw, out)
    assert files(out) == before
    predict_batch(predictor, raw, out, force=True)
    assert len(table(out)) == FRAMES
    assert not (out / "labels/old.png").exists()


def test_one_process_predicts_a_shard(raw: Batch, predictor: Predictor, tmp_path: Path) -> None:
    """A second one is refused, and so is one that would replace what is being written."""
    seen = []

    def meanwhile(done: int, frames: int) -> None:
        if not done:
            for options in ({}, {"without": ["depth"], "force": True}):
                with pytest.raises(BusyError, match="is being written by another process"):
                    predict_batch(predictor, raw, tmp_path / "out", **options)
                seen.append(options)

    predict_batch(predictor, raw, tmp_path / "out", progress=meanwhile)
    assert len(seen) == 2
    assert len(table(tmp_path / "out")) == FRAMES


@pytest.mark.parametrize("text", ["0/3", "4/3", "a/b", "1"])
def test_a_wrong_shard_is_one_line(
    raw: Batch, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert command("predict", model, raw.root, tmp_path / "out", "--shard", text) == 2
    error = capsys.readouterr().err
    assert error == f"error: --shard: '{text}' is not a shard; give i/n with i from 1 to n, such as 1/3\n"
    assert not (tmp_path / "out").exists()


def test_the_command_predicts_shards(
    raw: Batch, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("predict", plain, raw.root, tmp_path / "out", "--device", "cpu", "--shard")
    assert command(*arguments, "2/2") == 0
    output = capsys.readouterr()
    assert "out, shard 2/2: 20 of 20 frames predicted, 0 of them without some sensor" in output.out
    assert "predictions.csv is written when these shards are done: 1/2" in output.out
    assert output.err == ""
    assert command(*arguments, "1/2") == 0
    assert "shard 1/2: 20 of 20 frames predicted, 2 of them" in capsys.readouterr().out
    assert command(*arguments, "1/2") == 2
    assert "holds predictions already" in capsys.readouterr().err


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
    assert peak(many, "many") < 1.2 * peak(batch, "few")
    assert len(table(tmp_path / "many")) == 200
