"""Read the batches of a training ahead, in processes of their own, so that no step waits for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from sensorproof.data.dataset import TensorBatch

Sampler = Callable[[int, slice], TensorBatch]
"""Returns some samples of the batch of a step. They depend on its arguments alone."""
_AHEAD = 2
"""Batches that each process reads ahead."""


@dataclass(frozen=True)
class _Steps(Dataset[TensorBatch]):
    """The batches of a training as DataLoader asks for them: by the number of the step."""

    sampler: Sampler
    samples: slice

    def __getitem__(self, step: int) -> TensorBatch:
        return self.sampler(step, self.samples)


def read_batches(
    sampler: Sampler, steps: range, samples: slice, readers: int, device: torch.device
) -> Iterator[TensorBatch]:
    """Yield the samples of each step, on the device, in order.

    Args:
        sampler: reads them.
        steps: numbers of the steps.
        samples: those of each batch that this process trains on.
        readers: processes that read; 0 reads here and now. The batches are the same.
        device: on which the model trains.
    """
    if not readers:
        for step in steps:
            yield sampler(step, samples).to(device)
        return
    loader = DataLoader(
        _Steps(sampler, samples),
        batch_size=None,  # a sampler gives whole batches
        sampler=steps,
        num_workers=readers,
        prefetch_factor=_AHEAD,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # of its own: it draws a seed, which would change what the training draws
    )
    for batch in loader:
        yield batch.to(device)
