"""Plain torch training: one objective, one optimiser, one schedule; the same steps for every arm."""

import copy
import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.amp import GradScaler
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from sensorproof.data.dataset import TrainingSampler
from sensorproof.documents.history import STEP, Row
from sensorproof.errors import DivergedError, SensorproofError
from sensorproof.models import Segmenter
from sensorproof.objectives.base import Objective
from sensorproof.settings import TrainSettings
from sensorproof.training.acceleration import accelerated
from sensorproof.training.averaging import WeightAverage
from sensorproof.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from sensorproof.training.processes import Processes, own_device, require_agreement, share_out
from sensorproof.training.reading import read_batches
from sensorproof.training.sharding import whole_state
from sensorproof.training.step import Stepper, make_pass

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
    waited: float = 0.0
    """Seconds since then in which no step could be made, because its batch was still being read."""


def train(
    model: Segmenter,
    sampler: TrainingSampler,
    objective: Objective,
    settings: TrainSettings,
    *,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    readers: int = 0,
    progress: Callable[[int, Row], None] = lambda step, row: None,
    pauses: Collection[int] = (),
    at_pause: Callable[[int], None] = lambda step: None,
) -> TrainingRun:
    """Train the model in place and leave it on the device of settings.device.

    Batches are a function of the step, so a resumed training gives the same result as an uninterrupted one. In the
    processes of torchrun (see `processes.process_group`) each of them trains on its share of every batch, with the
    result of one process within rounding; a checkpoint resumes on any number of them.

    Args:
        model: starts from its present weights.
        sampler: gives the batch of each step.
        objective: the loss to minimise.
        settings: optimiser, schedule, precision and device.
        steps: number of steps.
        seed: of all random draws of the training.
        checkpoint: a file. The state is saved there every settings.checkpoint_every steps; if it exists, the training
            resumes from it.
        readers: processes that read batches ahead; 0 for none.
        progress: called with step and row whenever a row is recorded.
        pauses: numbers of steps after which the training pauses, to score the model. Scoring draws nothing at random,
            so a training with pauses gives the same result as one without.
        at_pause: called with the number of steps done; it may leave the model in evaluation mode. What it raises ends
            the training.

    Raises:
        DivergedError: the loss is not finite.
        SensorproofError: the device or the checkpoint cannot be used, or a batch does not divide by the processes.
    """
    processes = Processes.current()
    samples = share_out(sampler.size, processes.count, settings.accumulate) * settings.accumulate
    own = slice(processes.rank * samples, (processes.rank + 1) * samples)
    device = choose_device(settings.device)
    model.to(device).train()
    torch.manual_seed(seed)
    objective.hard_pixels = settings.hard_pixels
    sharded = settings.shard_weights and processes.count > 1
    network = copy.deepcopy(model) if sharded else model
    average = WeightAverage(network, settings.average_decay)
    run = TrainingRun()
    with accelerated(network, settings):
        module = make_pass(network, objective, processes, sharded=sharded)
        optimizer = build_optimizer(network, settings.learning_rate, settings.weight_decay)
        schedule = LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, settings.warmup_fraction))
        scaler = GradScaler(device.type, enabled=settings.precision == "float16")
        state = TrainingState(network, optimizer, schedule, objective, average, scaler)
        if checkpoint is not None and checkpoint.exists():
            run.resumed_at, run.history, run.seconds = load_checkpoint(checkpoint, state)
        require_agreement(run.resumed_at, "its processes do not find the same checkpoint")
        started = time.perf_counter() - run.seconds
        make_step = Stepper(network, objective, module, optimizer, scaler, settings, device, processes)
        batches = read_batches(sampler, range(run.resumed_at, steps), own, readers, device)
        for step in range(run.resumed_at, steps):
            asked = time.perf_counter()
            batch = next(batches)
            run.waited += time.perf_counter() - asked
            loss = make_step(batch, step)
            schedule.step()
            average.update()
            if (step + 1) % _RECORD_EVERY == 0 or step + 1 == steps:
                run.history.append(_to_row(step + 1, make_step.mean_over_processes(loss)))
                progress(step + 1, run.history[-1])
            run.seconds = time.perf_counter() - started
            save = checkpoint is not None and (step + 1) % settings.checkpoint_every == 0 and step + 1 < steps
            if checkpoint is not None and save and (processes.first or sharded):
                save_checkpoint(checkpoint, state, step + 1, run.history, run.seconds, write=processes.first)
            if step + 1 in pauses:
                with average.applied():
                    _give_weights(network, model)
                    at_pause(step + 1)
                model.train()
        average.apply()
    _give_weights(network, model)
    model.eval()
    return run


def _give_weights(network: Segmenter, model: Segmenter) -> None:
    """Give the model the weights of the network that trains in its place, if there is one."""
    if network is not model:
        model.load_state_dict(whole_state(network))


def _to_row(step: int, losses: dict[str, float]) -> Row:
    """Build one row of the history; a loss that is not finite stops the training."""
    if not math.isfinite(losses["loss"]):
        fix = "lower train.learning_rate or regularizer.strength"
        raise DivergedError(f"training step {step}", f"the loss is {losses['loss']}", fix)
    return {STEP: step} | losses


def choose_device(name: str) -> torch.device:
    """Find the device to compute on.

    Args:
        name: `auto` (the GPU of this process where several share the work, else the first; without one the CPU), `cuda`
            (the same, but never the CPU), `cuda:1` or `cpu`.

    Raises:
        SensorproofError: there is no such device.
    """
    if name == "auto":
        return own_device()
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SensorproofError("train.device", f"{name} does not exist", "set it to auto or cpu")
    return own_device() if name == "cuda" else device


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
