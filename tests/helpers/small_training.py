"""A training of seconds, in this process or as a program of its own that torchrun starts or a test kills."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from helpers.paths import ROOT
from sensorproof.console import report_errors
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
    """What a training that was a program of its own left behind."""

    weights: dict[str, Tensor]
    history: list[dict[str, float]]
    scores: dict[str, Any]
    log: str


def start_small(root: Path, out: Path, ranks: int = 1, **task: Any) -> subprocess.Popen[str]:
    """Start a training as a program, on several processes by torchrun; `task` holds arguments of `run_small`."""
    document = {"root": str(root), "out": str(out), **task}
    python = [sys.executable, "-m"]
    if ranks > 1:
        python += ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
    path = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*python, "helpers.small_training", json.dumps(document)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_apart(root: Path, out: Path, ranks: int = 1, **task: Any) -> Outcome:
    """Train one arm in a program of its own, and return what it left."""
    return read_outcome(out, finish(start_small(root, out, ranks, **task)))


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a program that must succeed; return what it said."""
    log, _ = process.communicate(timeout=300)
    assert process.returncode == 0, log
    return log


def read_outcome(out: Path, log: str = "") -> Outcome:
    history, scores = (json.loads((out / f"{name}.json").read_text()) for name in ("history", "scores"))
    return Outcome(load_file(out / "weights.safetensors"), history, scores, log)


@report_errors
def main(document: str) -> None:
    """The program: train as asked, each arm in turn; the first process writes the results, and tells every row."""
    task = json.loads(document)
    out = Path(task.pop("out"))
    data = PreparedDataset(Path(task.pop("root")))
    arms, roots = task.pop("arms", []), task.pop("roots", {})
    if "model" in task:
        task["model"] = ModelSettings(**task["model"])
    if "checkpoint" in task:
        task["checkpoint"] = Path(task["checkpoint"])
    with process_group() as processes:

        def show(step: int, row: object) -> None:
            del row
            if processes.first:
                print(f"step {step}", flush=True)

        scored = task.pop("score", False)
        for arm in arms or [task.pop("arm", "baseline")]:
            own = PreparedDataset(Path(roots[arm])) if arm in roots else data
            model, history = run_small(own, cast(Arm, arm), progress=show, **task)
            scores = score_split(model.float(), data, "train", "cpu", 3).to_document().to_json() if scored else {}
            if processes.first:
                folder = out / arm if arms else out
                folder.mkdir(parents=True, exist_ok=True)
                write_json(folder / "history.json", history)
                write_json(folder / "scores.json", scores)
                save_file(dict(model.state_dict()), folder / "weights.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
