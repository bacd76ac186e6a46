"""Cut the batch of a process into its parts, with the weights that each of them has in the whole batch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sensorproof.batch_share import LABEL_STRIDE, BatchShare
from sensorproof.data.dataset import TensorBatch
from sensorproof.data.metadata import IGNORE
from sensorproof.training.processes import Processes, gather


def cut(batch: TensorBatch, parts: int, processes: Processes) -> Iterator[tuple[TensorBatch, BatchShare | None]]:
    """Yield the parts of a process's samples, each with what it is of the whole batch; None if it is the whole.

    Args:
        batch: the samples of this process, on its device; their number divides by `parts`.
        parts: computed one after the other.
        processes: all of them have as many samples.
    """
    if parts == processes.count == 1:
        yield batch, None
        return
    names = sorted(batch.inputs)
    own = torch.stack([_contents(part, names) for part in _split(batch, parts)])
    contents = own if processes.count == 1 else gather(own)
    whole = contents.sum(0).clamp_min(1)
    labels = batch.target[..., ::LABEL_STRIDE, ::LABEL_STRIDE]
    if processes.count > 1:
        labels = gather(labels.to(torch.uint8)).long()
    samples = len(batch.target) // parts
    by_process = contents.reshape(processes.count, parts, -1)
    for k, part in enumerate(_split(batch, parts)):
        weights = (processes.count * own[k] / whole).tolist()
        yield (
            part,
            BatchShare(
                start=(processes.rank * parts + k) * samples,
                samples=samples,
                whole=samples * parts * processes.count,
                ranks=processes.count,
                together=bool((by_process[:, k, 1] > 0).all()),
                pixel_weight=weights[0],
                sample_weight=weights[1],
                sensor_weights=dict(zip(names, weights[2:], strict=True)),
                labels=labels,
            ),
        )


def _split(batch: TensorBatch, parts: int) -> Iterator[TensorBatch]:
    """Yield equal parts of a batch."""
    samples = len(batch.target) // parts
    for start in range(0, len(batch.target), samples):
        rows = slice(start, start + samples)
        yield TensorBatch(
            {name: x[rows] for name, x in batch.inputs.items()},
            {name: x[rows] for name, x in batch.present.items()},
            batch.target[rows],
        )


def _contents(batch: TensorBatch, names: list[str]) -> Tensor:
    """Return what the weights are made of.

    Returns:
        (2 + M,) float64: valid pixels, samples with a sensor and a valid pixel, valid pixels of samples with each
        sensor.
    """
    pixels = (batch.target != IGNORE).flatten(1).sum(1).double()
    present = torch.stack([batch.present[name] for name in names])
    usable = present.any(0) & (pixels > 0)
    return torch.cat([pixels.sum()[None], usable.sum()[None], present.double() @ pixels])
