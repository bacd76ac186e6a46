"""Plain torch training: one objective, one optimiser, a schedule; the same steps for every arm."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from sensorproof.data.dataset import TrainingSampler
from sensorproof.errors import SensorproofError
from sensorproof.models import Segmenter
from sensorproof.objectives.base import Objective
from sensorproof.settings import TrainSettings
from sensorproof.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint

_DECAY_POWER = 0.9
"""Polynomial decay of the learning rate, as is usual for SegFormer."""
_RECORD_EVERY = 10


@dataclass
class TrainingRun:
    """What a training leaves besides the model: one row of scalars per RECORD_EVERY steps, and its cost."""

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    resumed_at: int = 0


def train(
    model: Segmenter,
    sampler: TrainingSampler,
    objective: Objective,
    settings: TrainSettings,
    *,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[int, dict[str, float]], None] = lambda step, row: None,
) -> TrainingRun:
    """Train the model in place for `steps` steps and leave it on the device of settings.device.

    With `checkpoint`, the state is kept there every settings.checkpoint_every steps and an earlier one that was
    cut short is taken up again; batches are a function of the step, so the result is that of an uncut run.

    Raises:
        SensorproofError: the loss is not finite.
    """
    device = choose_device(settings.device)
    model.to(device).train()
    torch.manual_seed(seed)
    optimizer = build_optimizer(model, settings.learning_rate, settings.weight_decay)
    schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, settings.warmup_fraction))
    state = TrainingState(model, optimizer, schedule, objective)
    run = TrainingRun()
    if checkpoint is not None and checkpoint.exists():
        run.resumed_at, run.history, run.seconds = load_checkpoint(checkpoint, state)
    began = time.perf_counter() - run.seconds
    for step in range(run.resumed_at, steps):
        batch = sampler(step).to(device)
        present = None if all(bool(p.all()) for p in batch.present.values()) else batch.present
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.mixed_precision):
            loss = objective(model, batch.inputs, batch.target, present, step)
        optimizer.zero_grad(set_to_none=True)
        loss.value.backward()
        objective.after_backward(model)
        optimizer.step()
        schedule.step()
        if (step + 1) % _RECORD_EVERY == 0 or step + 1 == steps:
            run.history.append(record(step + 1, loss.value, loss.parts))
            progress(step + 1, run.history[-1])
        run.seconds = time.perf_counter() - began
        if checkpoint is not None and (step + 1) % settings.checkpoint_every == 0 and step + 1 < steps:
            save_checkpoint(checkpoint, state, step + 1, run.history, run.seconds)
    model.eval()
    return run


def record(step: int, value: Tensor, parts: dict[str, Tensor]) -> dict[str, float]:
    """One row of the history; a loss that is not finite stops the training here."""
    if not torch.isfinite(value):
        fix = "lower train.learning_rate or regularizer.strength"
        raise SensorproofError(f"training step {step}", f"the loss is {float(value.detach())}", fix)
    return {"step": step, "loss": float(value.detach())} | {name: float(part) for name, part in parts.items()}


def choose_device(name: str) -> torch.device:
    """`auto` is the first GPU where there is one.

    Raises:
        SensorproofError: the device asked for is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SensorproofError("train.device", f"{name} is not there", "set it to auto or cpu")
    return device


def build_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """AdamW that decays matrices and kernels and leaves biases and normalisations alone; one kernel for all of them."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    free = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate, fused=True)


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear rise over the first `warmup` of the steps, polynomial decay after it."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return float(max(0.0, 1 - (step - rising) / max(1.0, steps - rising)) ** _DECAY_POWER)
