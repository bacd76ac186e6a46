"""A training cut short goes on where it was: one safetensors file, written atomically, no pickle."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sensorproof.errors import SensorproofError
from sensorproof.files import atomic_file
from sensorproof.models import Segmenter
from sensorproof.objectives.base import Objective


@dataclass(frozen=True)
class TrainingState:
    """All that changes while a training runs."""

    model: Segmenter
    optimizer: Optimizer
    schedule: LRScheduler
    objective: Objective


def save_checkpoint(
    path: Path, state: TrainingState, step: int, history: list[dict[str, float]], seconds: float
) -> None:
    """Keep the state after `step` steps."""
    tensors = {f"model/{name}": t for name, t in state.model.state_dict().items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(t) for name, t in slots.items()}
    tensors |= {f"objective/{name}": t for name, t in state.objective.state_dict().items()}
    tensors["rng/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    rates = [group["lr"] for group in state.optimizer.param_groups]
    described = {"step": step, "history": history, "seconds": seconds, "learning_rates": rates}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata={"state": json.dumps(described)})


def load_checkpoint(path: Path, state: TrainingState) -> tuple[int, list[dict[str, float]], float]:
    """Restore a state kept by save_checkpoint; return its step, history and seconds.

    Raises:
        SensorproofError: the file is broken or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            described = json.loads(file.metadata()["state"])
        restore(tensors, state)
        state.schedule.last_epoch = described["step"]
        for group, rate in zip(state.optimizer.param_groups, described["learning_rates"], strict=True):
            group["lr"] = rate
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise SensorproofError(path, f"cannot be resumed ({error})", "delete it to start anew") from error
    return described["step"], described["history"], described["seconds"]


def restore(tensors: dict[str, Tensor], state: TrainingState) -> None:
    """Put the tensors of a checkpoint back where they came from."""
    state.model.load_state_dict(within(tensors, "model/"))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in within(tensors, "optimizer/").items():
        index, slot = name.split("/")
        slots.setdefault(int(index), {})[slot] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    state.objective.load_state_dict(within(tensors, "objective/"))
    torch.set_rng_state(tensors["rng/cpu"])
    if "rng/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng/cuda"])


def within(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
