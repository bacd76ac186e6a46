"""One step of a training: the passes, in whatever precision and on however many processes, and the update."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from sensorproof.batch_share import sharing
from sensorproof.data.dataset import TensorBatch
from sensorproof.errors import UsageError
from sensorproof.models import Segmenter
from sensorproof.objectives.base import Loss, Objective
from sensorproof.objectives.gradient_modulation import OGMGE
from sensorproof.objectives.regularized import Regularized
from sensorproof.regularization.fisher_penalty import FisherInformationPenalty
from sensorproof.settings import TrainSettings
from sensorproof.training.processes import Processes, align_random_states, gather_documents
from sensorproof.training.sharding import shard
from sensorproof.training.shares import cut

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""{setting of the precision: number type}."""


class _Pass(nn.Module):
    """The objective as a module: DistributedDataParallel prepares its reductions when it is called."""

    def __init__(self, model: Segmenter, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: TensorBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return value and parts of the loss."""
        present = None if all(bool(p.all()) for p in batch.present.values()) else batch.present
        loss = self.objective(self.model, batch.inputs, batch.target, present, step)
        return loss.value, loss.parts


def make_pass(model: Segmenter, objective: Objective, processes: Processes, *, sharded: bool) -> nn.Module:
    """Return the objective as a module that reduces the gradients of all processes.

    Args:
        model: becomes part of it, and is spread over the processes if asked.
        objective: what it computes.
        processes: those that train together.
        sharded: see `sharding`.

    Raises:
        UsageError: the objective takes or changes gradients itself, which spread weights do not allow.
    """
    own = _Pass(model, objective)
    if processes.count == 1:
        return own
    if not sharded:
        return DistributedDataParallel(own)
    if isinstance(objective, OGMGE):
        raise UsageError("train.shard_weights", "does not go with the arm ogm_ge", "set it to false for this arm")
    if isinstance(objective, Regularized):
        # Gradients within a pass would end the time for which weights are together.
        if isinstance(objective.regularizer.loss, FisherInformationPenalty):
            fix = "set it to false, or regularizer.variant: single and regularizer.estimator: first_order"
            raise UsageError("train.shard_weights", "does not go with an information that is differentiated", fix)
        objective.measures = False
    shard(own)
    return own


@dataclass
class Stepper:
    """Makes the steps of a training; every process calls it with its own samples."""

    model: Segmenter
    objective: Objective
    module: nn.Module
    """From `make_pass`."""
    optimizer: Optimizer
    scaler: GradScaler
    settings: TrainSettings
    device: torch.device
    processes: Processes

    def __call__(self, batch: TensorBatch, step: int) -> Loss:
        """Compute the gradients of a batch, and update the weights.

        Returns:
            The loss of this process's samples, as their part of the whole batch.
        """
        if self.processes.count > 1:
            align_random_states()
        if self.settings.channels_last:
            batch = _channels_last(batch)
        parts = self.settings.accumulate
        self.optimizer.zero_grad(set_to_none=True)
        states = _random_states(self.device) if parts > 1 else []
        losses = []
        for k, (part, share) in enumerate(cut(batch, parts, self.processes)):
            if k:
                _restore(states, self.device)
            with sharing(share), self._unreduced(k + 1 < parts):
                with torch.autocast(
                    self.device.type, TYPES[self.settings.precision], enabled=self.settings.precision != "float32"
                ):
                    value, details = self.module(part, step)
                self.scaler.scale(value).backward()
            losses.append(Loss(value.detach(), details))
        self._update()
        return losses[0] if parts == 1 else _add(losses)

    def _update(self) -> None:
        """Change the weights by the gradients."""
        self.scaler.unscale_(self.optimizer)
        self.objective.after_backward(self.model)
        if self.settings.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.max_gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    @contextmanager
    def _unreduced(self, unreduced: bool) -> Iterator[None]:
        """Keep the gradients of all but the last part to this process, to reduce them once."""
        with ExitStack() as stack:
            if isinstance(self.module, FSDPModule):
                self.module.set_requires_gradient_sync(not unreduced)
            elif unreduced and isinstance(self.module, DistributedDataParallel):
                stack.enter_context(self.module.no_sync())
            yield

    def mean_over_processes(self, loss: Loss) -> dict[str, float]:
        """Return {`loss` or part: value} of the whole batch; a part is averaged over the processes that have it."""
        own = {"loss": float(loss.value.detach())} | {name: float(part) for name, part in loss.parts.items()}
        if self.processes.count == 1:
            return own
        every: list[dict[str, float]] = gather_documents(own)
        names = dict.fromkeys(name for each in every for name in each)
        values = {name: [each[name] for each in every if name in each] for name in names}
        return {name: sum(each) / len(each) for name, each in values.items()}


def _add(losses: list[Loss]) -> Loss:
    """Return the loss of a batch from those of its parts: sums of losses, and the last of what is measured."""
    parts: dict[str, Tensor] = {}
    for loss in losses:
        for name, part in loss.parts.items():
            summed = "/" not in name and name in parts
            parts[name] = parts[name] + part if summed else part
    return Loss(torch.stack([loss.value for loss in losses]).sum(), parts)


def _channels_last(batch: TensorBatch) -> TensorBatch:
    """Return the batch with the channels of a pixel side by side in memory."""
    inputs = {name: x.to(memory_format=torch.channels_last) for name, x in batch.inputs.items()}
    return TensorBatch(inputs, batch.present, batch.target)


def _random_states(device: torch.device) -> list[Tensor]:
    """Return the states of the generators that a pass uses."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _restore(states: list[Any], device: torch.device) -> None:
    """Go back to states of the generators, so that every part draws what is drawn for the whole batch."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
