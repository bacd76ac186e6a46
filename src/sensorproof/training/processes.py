"""The processes of one training, as torchrun starts them: who they are, and what they tell each other.

Documents travel as JSON, so that no pickle is read.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from sensorproof.errors import SensorproofError, UsageError

_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others, such as while the first one writes results."""

_kept: list[Any] = []
"""The group of a training that failed. Its destructor waits for threads that may wait for Python's lock to release a
tensor, and holds that lock meanwhile: it must not run before they are done."""


@dataclass(frozen=True)
class Processes:
    """How many processes train one model, and which of them this is."""

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "Processes":
        """Return the processes of the group that `process_group` joined; one alone outside of it."""
        if not distributed.is_available() or not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process writes the results."""
        return self.rank == 0


@contextmanager
def process_group() -> Iterator[Processes]:
    """Join the other processes that torchrun started; do nothing in a process that runs alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or not distributed.is_available():
        yield Processes()
        return
    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(_local_rank() % torch.cuda.device_count())
    distributed.init_process_group(backends, timeout=_PATIENCE)
    try:
        yield Processes.current()
    except RuntimeError as error:
        if not _is_lost_connection(error):
            raise
        _kept.append(distributed.group.WORLD)
        fix = "see what it said, then run the same command again, on all machines: the training goes on where it was"
        raise SensorproofError("training", "another of its processes has ended, or cannot be reached", fix) from error
    finally:
        distributed.destroy_process_group()


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether a process waited in vain for another one. NCCL's errors have a type, gloo's only name a file of gloo."""
    return isinstance(error, distributed.DistError) or "/gloo/" in str(error)


def count_processes(wanted: int) -> int:
    """Return how many processes train one model: those of torchrun, the wanted number, or for 0 one on each GPU."""
    return int(os.environ.get("WORLD_SIZE", "0")) or wanted or max(1, torch.cuda.device_count())


def require_agreement(document: Any, fault: str) -> None:
    """Check that all processes give the same, anything that JSON can carry; otherwise they would train on silently.

    Raises:
        SensorproofError: they do not; `fault` says what differs.
    """
    if Processes.current().count > 1 and any(other != document for other in gather_documents(document)):
        raise SensorproofError("training", fault, "give all machines the same project folder")


def own_device() -> torch.device:
    """Return the GPU of this process, of which each on a machine has its own; the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if "LOCAL_RANK" not in os.environ:  # of torchrun, or of `parallel`
        return torch.device("cuda")
    return torch.device("cuda", _local_rank() % torch.cuda.device_count())


def _local_rank() -> int:
    """Return which of the processes on this machine this is."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def share_out(batch_size: int, processes: int, parts: int) -> int:
    """Return the samples of each part of each process's share of a batch.

    Raises:
        UsageError: the batch does not divide evenly, with which its parts would count differently.
    """
    if batch_size % (processes * parts):
        fault = f"a batch of {batch_size} does not divide by processes x train.accumulate = {processes} x {parts}"
        raise UsageError("train.batch_size", fault, f"set it to a multiple of {processes * parts}")
    return batch_size // (processes * parts)


def align_random_states() -> None:
    """Give every process the random states of the first one."""
    state = torch.get_rng_state()
    distributed.broadcast(state, 0)
    torch.set_rng_state(state)
    if torch.cuda.is_available():
        state = torch.cuda.get_rng_state()
        distributed.broadcast(state, 0)
        torch.cuda.set_rng_state(state)


def gather(values: Tensor) -> Tensor:
    """Return the values (n, …) of all processes, of one shape, in order: (n * processes, …)."""
    parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def gather_documents(document: Any) -> list[Any]:
    """Return what every process gives, in order: anything that JSON can carry."""
    encoded = torch.frombuffer(bytearray(json.dumps(document).encode()), dtype=torch.uint8)
    lengths = gather(torch.tensor([len(encoded)])).tolist()
    padded = torch.zeros(max(lengths), dtype=torch.uint8)
    padded[: len(encoded)] = encoded
    texts = gather(padded).reshape(len(lengths), -1)
    return [json.loads(bytes(text[:length].tolist())) for text, length in zip(texts, lengths, strict=True)]
