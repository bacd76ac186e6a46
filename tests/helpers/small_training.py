"""A training of seconds, in this process or in others that share it or that a test kills.

The others are forked from a server that has imported all that they need, which takes longer than such a training. They
are told who they are as torchrun does it.
"""

import json
import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sensorproof.data.batch import Class
from sensorproof.data.dataset import PreparedDataset, TensorBatch, TrainingSampler
from sensorproof.data.metadata import PreparedMeta, SensorInput
from sensorproof.experiment import score_split
from sensorproof.files import write_json
from sensorproof.models import Segmenter, build_model, describe_model
from sensorproof.objectives.base import Objective
from sensorproof.objectives.build import NO_REGULARIZATION, build_objective
from sensorproof.settings import Arm, ModelSettings, TrainSettings
from sensorproof.training.loop import train
from sensorproof.training.processes import process_group

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["helpers.small_training", "torch.distributed"])
MODEL = ModelSettings(backbone="tiny", decoder_channels=16, pretrained=None)
TRAIN = TrainSettings(
    arms=["baseline"],
    seeds=[0],
    device="cpu",
    steps=30,
    batch_size=4,
    learning_rate=0.003,
    weight_decay=0.01,
    warmup_fraction=0.1,
    precision="float32",
    compile=False,
    channels_last=False,
    accumulate=1,
    recompute=False,
    max_gradient_norm=None,
    hard_pixels=None,
    average_decay=None,
    shard_weights=False,
    crop=None,
    crop_scale=[1.0, 1.0],
    photometric={},
    horizontal_flip=True,
    class_balance=0.0,
    checkpoint_every=10,
)
REGULARIZER = NO_REGULARIZATION.model_copy(update={"strength": 0.1, "sigma": 0.3, "relevance_weighting": True})


def write_small_data(root: Path, absent: int = 5) -> PreparedDataset:
    """Write 24 frames of two sensors: `one` shows the label, `two` its negative with noise and gaps."""
    rng = np.random.default_rng(0)
    label = np.zeros((24, 32, 32), np.uint8)
    for frame in label:
        y, x = rng.integers(0, 20, 2)
        frame[y : y + 12, x : x + 12] = 1
    one = label[:, None].astype(np.float16)
    two = (1 - one + rng.normal(0, 0.3, one.shape)).astype(np.float16)
    two[:, :, :4] = np.nan
    two[absent] = np.nan
    split = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    table = pd.DataFrame({"frame_id": [str(i) for i in range(24)], "batch": "b", "split": split})
    table = table.assign(labelled=True, present_one=True, present_two=np.arange(24) != absent, fault="")
    table.to_csv(root / "frames.csv", index=False)
    for name, array in {"one": one, "two": two, "label": label}.items():
        np.save(root / f"{name}.npy", array)
    sensor = {"kind": "other", "channels": 1, "range": (0, 1), "nodata": None, "mean": (0.5,), "std": (0.5,)}
    meta = PreparedMeta(
        sensors={"one": SensorInput(**sensor), "two": SensorInput(**sensor)},
        reference="one",
        classes=(Class(id=0, name="ground"), Class(id=1, name="box")),
        size=(32, 32),
        batches=("b",),
        frames={"train": 16, "val": 4, "test": 4},
    )
    write_json(root / "meta.json", meta.model_dump(mode="json"))
    return PreparedDataset(root)


class Doubled(TrainingSampler):
    """The same samples in double precision."""

    def __call__(self, step: int, samples: slice = slice(None)) -> TensorBatch:
        batch = super().__call__(step, samples)
        return TensorBatch({name: x.double() for name, x in batch.inputs.items()}, batch.present, batch.target)


def run_small(
    data: PreparedDataset,
    arm: Arm = "baseline",
    steps: int = 30,
    objective: Objective | None = None,
    changes: dict[str, Any] | None = None,
    model: ModelSettings = MODEL,
    double: bool = False,
    **options: Any,
) -> tuple[Segmenter, list[dict[str, float]]]:
    """Train a new model, in double precision if asked, where rounding cannot grow to be seen; return the history."""
    settings = TrainSettings.model_validate(TRAIN.model_dump() | (changes or {}))
    torch.manual_seed(0)
    network = build_model(describe_model(model, data.meta))
    objective = objective or build_objective(arm, REGULARIZER)
    sampler = (Doubled if double else TrainingSampler)(data, settings.batch_size, 0, settings.horizontal_flip)
    if double:
        network.double()
    result = train(network, sampler, objective, settings, steps=steps, seed=0, **options)
    return network, result.history


@dataclass(frozen=True)
class Outcome:
    """What a training in other processes left behind."""

    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    scores: dict[str, Any]


@dataclass(frozen=True)
class Training:
    """A training in other processes."""

    processes: list[BaseProcess]
    steps: Connection
    """Tells the number of each step of which a row is recorded."""

    def finish(self) -> list[int]:
        """Wait for a training that must succeed; return the steps that it told of."""
        told = list(self._told())
        for process in self.processes:
            process.join(300)
        assert [process.exitcode for process in self.processes] == [0] * len(self.processes)
        return told

    def kill_after(self, step: int) -> None:
        """Kill all processes, and those that they started, as soon as a step is told."""
        assert step in self._told()
        for process in self.processes:
            assert process.pid is not None
            os.killpg(process.pid, signal.SIGKILL)
        for process in self.processes:
            process.join(60)
            assert process.exitcode == -signal.SIGKILL

    def _told(self) -> Iterator[int]:
        while self.steps.poll(300):
            try:
                yield self.steps.recv()
            except EOFError:
                return


def start_small(root: Path, out: Path, ranks: int = 1, **task: Any) -> Training:
    """Start a training in other processes; `task` holds arguments of `run_small`, or `arms` and `roots` for several."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    receiver, sender = _PROCESSES.Pipe(duplex=False)
    processes: list[BaseProcess] = []
    for rank in range(ranks):
        place = {"WORLD_SIZE": ranks, "RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        processes.append(_PROCESSES.Process(target=_train, args=(place, sender, root, out, task)))
        processes[-1].start()
    sender.close()
    return Training(processes, receiver)


def run_apart(root: Path, out: Path, ranks: int = 1, **task: Any) -> Outcome:
    """Train one arm in other processes, and return what it left."""
    start_small(root, out, ranks, **task).finish()
    return read_outcome(out)


def read_outcome(out: Path) -> Outcome:
    history, scores = (json.loads((out / f"{name}.json").read_text()) for name in ("history", "scores"))
    return Outcome(load_file(out / "weights.safetensors"), history, scores)


def _train(place: dict[str, Any], steps: Connection, root: Path, out: Path, task: dict[str, Any]) -> None:
    """In a process of its own: train as asked, each arm in turn; the first one writes the results and tells steps."""
    os.setsid()
    os.environ |= {name: str(value) for name, value in place.items()}
    torch.set_num_threads(1)
    data = PreparedDataset(root)
    arms, roots, scored = task.pop("arms", []), task.pop("roots", {}), task.pop("score", False)
    with process_group() as processes:

        def tell(step: int, row: object) -> None:
            del row
            if processes.first:
                steps.send(step)

        for arm in arms or [task.pop("arm", "baseline")]:
            own = PreparedDataset(roots[arm]) if arm in roots else data
            model, history = run_small(own, arm, progress=tell, **task)
            folder = out / arm if arms else out
            if processes.first:
                folder.mkdir(parents=True, exist_ok=True)
                save_file(dict(model.state_dict()), folder / "weights.safetensors")
            scores = score_split(model.float(), data, "train", "cpu", 3).to_document().to_json() if scored else {}
            if processes.first:
                write_json(folder / "history.json", history)
                write_json(folder / "scores.json", scores)
