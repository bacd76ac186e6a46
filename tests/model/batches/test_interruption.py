"""Predictions of a batch go on after a kill, but only with the same model, batch and options."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.predictions import FRAMES, files, finish, interrupt, start, table
from helpers.project_artifacts import write_model, write_raw
from sensorproof.data.batch import Batch
from sensorproof.errors import UsageError
from sensorproof.locks import BusyError
from sensorproof.serving.batches import predict_batch
from sensorproof.serving.predictor import Predictor, load_predictor
from sensorproof.serving.shards import Shard

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
    again = sum(path.stat().st_mtime_ns != before for path, before in kept.items())
    assert again <= 1


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
            "in 1 shard, not 2; go on with no --shard, or start over with --force",
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
