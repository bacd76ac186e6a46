"""A batch predicted in shards gives the same files as in one piece."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.predictions import copy, files, finish, interrupt, start, table
from helpers.project_artifacts import command, write_raw
from sensorproof.data.batch import Batch
from sensorproof.errors import SensorproofError
from sensorproof.serving.batches import predict_batch
from sensorproof.serving.predictor import Prediction, Predictor
from sensorproof.serving.shards import Shard


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
