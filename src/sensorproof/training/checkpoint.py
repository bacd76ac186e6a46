"""Save and resume an interrupted training: one safetensors file, written atomically, no pickle."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sensorproof.documents.history import Row
from sensorproof.errors import SensorproofError
from sensorproof.files import atomic_file
from sensorproof.models import Segmenter
from sensorproof.objectives.base import Objective
from sensorproof.training.averaging import WeightAverage
from sensorproof.training.sharding import load_model_state, load_optimizer_state, to_whole, whole_state


@dataclass(frozen=True)
class TrainingState:
    """Everything that changes while a training runs."""

    model: Segmenter
    optimizer: Optimizer
    schedule: LRScheduler
    objective: Objective
    average: WeightAverage
    scaler: GradScaler


def save_checkpoint(
    path: Path, state: TrainingState, step: int, history: list[Row], seconds: float, *, write: bool = True
) -> None:
    """Save the state after `step` steps, with the history and the wall time so far.

    Where the weights are spread over the processes, all of them call this, and one of them writes.
    """
    tensors = {f"model/{name}": t for name, t in whole_state(state.model).items()}
    for index, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(to_whole(t)) for name, t in slots.items()}
    if not write:
        return
    tensors |= {f"objective/{name}": t for name, t in state.objective.state_dict().items()}
    tensors |= {f"average/{name}": t for name, t in state.average.state_dict().items()}
    tensors["rng/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    rates = [group["lr"] for group in state.optimizer.param_groups]
    described = {"step": step, "history": history, "seconds": seconds, "learning_rates": rates}
    described["scaler"] = state.scaler.state_dict()
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata={"state": json.dumps(described)})


def load_checkpoint(path: Path, state: TrainingState) -> tuple[int, list[Row], float]:
    """Restore a state that `save_checkpoint` wrote.

    Args:
        path: the file.
        state: is changed in place.

    Returns:
        The step, the history and the seconds at which it was saved.

    Raises:
        SensorproofError: the file is broken or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            described = json.loads(file.metadata()["state"])
        _restore(tensors, state)
        state.schedule.last_epoch = described["step"]
        for group, rate in zip(state.optimizer.param_groups, described["learning_rates"], strict=True):
            group["lr"] = rate
        if state.scaler.is_enabled():
            state.scaler.load_state_dict(described["scaler"])
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise SensorproofError(path, f"cannot be resumed ({error})", "delete it to start again") from error
    return described["step"], described["history"], described["seconds"]


def _restore(tensors: dict[str, Tensor], state: TrainingState) -> None:
    """Load the tensors of a checkpoint into model, optimiser, objective and random generators."""
    load_model_state(state.model, _with_prefix(tensors, "model/"))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _with_prefix(tensors, "optimizer/").items():
        index, slot = name.split("/")
        slots.setdefault(int(index), {})[slot] = tensor
    load_optimizer_state(state.optimizer, slots)
    state.objective.load_state_dict(_with_prefix(tensors, "objective/"))
    state.average.load_state_dict(_with_prefix(tensors, "average/"))
    torch.set_rng_state(tensors["rng/cpu"])
    if "rng/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["rng/cuda"])


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Select the tensors under a prefix, and strip it from their names."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
