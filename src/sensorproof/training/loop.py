"""Plain torch training: one objective, one optimiser, one schedule; the same steps for every arm."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from sensorproof.data.dataset import TrainingSampler
from sensorproof.documents.history import STEP, Row
from sensorproof.errors import DivergedError, SensorproofError
from sensorproof.models import Segmenter
from sensorproof.objectives.base import Objective
from sensorproof.settings import TrainSettings
from sensorproof.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint

_DECAY_POWER = 0.9
"""Power of the polynomial decay of the learning rate, as in DeepLab (arXiv 1606.00915)."""
_RECORD_EVERY = 10
"""Steps between two rows of the history."""


@dataclass
class TrainingRun:
    """The record of a training."""

    history: list[Row] = field(default_factory=list)
    """One row of scalars per 10 steps."""
    seconds: float = 0.0
    """Wall time, parts before an interruption included."""
    resumed_at: int = 0
    """The step at which an interrupted training was resumed."""


def train(
    model: Segmenter,
    sampler: TrainingSampler,
    objective: Objective,
    settings: TrainSettings,
    *,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[int, Row], None] = lambda step, row: None,
    pauses: Collection[int] = (),
    at_pause: Callable[[int], None] = lambda step: None,
) -> TrainingRun:
    """Train the model in place and leave it on the device of settings.device.

    Batches are a function of the step, so a resumed training gives the same result as an uninterrupted one.

    Args:
        model: starts from its present weights.
        sampler: gives the batch of each step.
        objective: the loss to minimise.
        settings: optimiser, schedule and device.
        steps: number of steps.
        seed: of all random draws of the training.
        checkpoint: a file. The state is saved there every settings.checkpoint_every steps; if it exists, the training
            resumes from it.
        progress: called with step and row whenever a row is recorded.
        pauses: numbers of steps after which the training pauses, to score the model. Scoring draws nothing at random,
            so a training with pauses gives the same result as one without.
        at_pause: called with the number of steps done; it may leave the model in evaluation mode. What it raises ends
            the training.

    Raises:
        DivergedError: the loss is not finite.
        SensorproofError: the device or the checkpoint cannot be used.
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
    started = time.perf_counter() - run.seconds
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
            run.history.append(_to_row(step + 1, loss.value, loss.parts))
            progress(step + 1, run.history[-1])
        run.seconds = time.perf_counter() - started
        if checkpoint is not None and (step + 1) % settings.checkpoint_every == 0 and step + 1 < steps:
            save_checkpoint(checkpoint, state, step + 1, run.history, run.seconds)
        if step + 1 in pauses:
            at_pause(step + 1)
            model.train()
    model.eval()
    return run


def _to_row(step: int, value: Tensor, parts: dict[str, Tensor]) -> Row:
    """Build one row of the history; a loss that is not finite stops the training."""
    if not torch.isfinite(value):
        fix = "lower train.learning_rate or regularizer.strength"
        raise DivergedError(f"training step {step}", f"the loss is {float(value.detach())}", fix)
    return {STEP: step, "loss": float(value.detach())} | {name: float(part) for name, part in parts.items()}


def choose_device(name: str) -> torch.device:
    """Find the device to compute on.

    Args:
        name: `auto` (the first GPU, else the CPU), `cpu`, `cuda` or `cuda:1`.

    Raises:
        SensorproofError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SensorproofError("train.device", f"{name} does not exist", "set it to auto or cpu")
    return device


def build_optimizer(model: nn.Module, learning_rate: float, weight_decay: float) -> AdamW:
    """Build AdamW with weight decay on matrices and kernels only, not on biases and normalisations."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    free = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return AdamW(groups, lr=learning_rate, fused=True)


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Compute the factor on the learning rate: a linear rise, then polynomial decay to 0.

    Args:
        step: counted from 0.
        steps: of the whole training.
        warmup: the fraction of the steps over which the rate rises.
    """
    # `get_polynomial_decay_schedule_with_warmup` of transformers starts at a rate of 0 and needs whole warm-up steps.
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return float(max(0.0, 1 - (step - rising) / max(1.0, steps - rising)) ** _DECAY_POWER)
