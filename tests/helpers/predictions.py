"""Batches predicted in processes of their own, which may be killed."""

import multiprocessing
import os
import shutil
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from sensorproof.data.batch import Batch, read_batch
from sensorproof.serving.batches import predict_batch
from sensorproof.serving.predictor import Predictor, load_predictor
from sensorproof.serving.shards import Shard

FRAMES = 40
"""Passes of 16, 16 and 8 frames; the borders of three shards lie within passes."""

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["sensorproof.serving.batches", "helpers.predictions"])


def start(model: Path, batch: Path, out: Path, shard: str = "1/1", die: str = "", **options: Any) -> BaseProcess:
    """Predict a batch in a process.

    Args:
        model: the model's folder.
        batch: the batch's folder.
        out: where to write.
        shard: which frames.
        die: when to be killed: `fsync 12` at the 12th time that something is written to disk, or `unlink 1` when the
            parts of the table are removed.
        options: of predict_batch.
    """
    process = _PROCESSES.Process(target=_predict, args=(model, batch, out, Shard.parse(shard), die, options))
    process.start()
    return process


def finish(process: BaseProcess) -> int:
    """Wait for a process and return its exit code."""
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def _predict(model: Path, batch: Path, out: Path, shard: Shard, die: str, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    predictor = load_predictor(model, "cpu")
    if die:
        name, count = die.split()
        owner: Any = os if name == "fsync" else Path
        _die_at(owner, name, int(count))
    predict_batch(predictor, read_batch(batch), out, shard=shard, **options)


def _die_at(owner: Any, name: str, count: int) -> None:
    """Kill this process instead of the `count`-th call of a function; removals of temporary files do not count."""
    original, left = getattr(owner, name), [count]

    def counted(*arguments: Any, **options: Any) -> Any:
        left[0] -= not options
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, counted)


def files(folder: Path) -> dict[str, bytes]:
    """Return {path: content} of all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def copy(source: Path, target: Path) -> Path:
    """Copy a folder into another, as from a second machine."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    return target


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "predictions.csv", keep_default_na=False, dtype=str)


def interrupt(predictor: Predictor, batch: Batch, out: Path, shard: Shard | None = None) -> None:
    """Predict the first pass only."""

    def stop(done: int, frames: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_batch(predictor, batch, out, shard=shard, progress=stop)
