"""The regulariser's own measures of what each sensor tells a model, on frames that it was not trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sensorproof.data.dataset import TensorBatch
from sensorproof.data.metadata import IGNORE
from sensorproof.documents.contributions import SensorInformation
from sensorproof.models.windows import AnySegmenter
from sensorproof.regularization.information import InformationEstimator
from sensorproof.regularization.losses import sample_cross_entropy
from sensorproof.regularization.missing_sensors import MissingSensors
from sensorproof.regularization.sensor_batch import SensorBatch

_EPSILON = 1e-3
"""As `FunctionalEntropy` has it by default."""


def measure_information(
    model: AnySegmenter, batches: Iterable[TensorBatch], sigma: float, class_balance: float, seed: int = 0
) -> dict[str, SensorInformation]:
    """Measure the functional Fisher information and the relevance of every sensor, frame by frame.

    Training measures the same of two samples at a time, or as running means; here all frames count alike, and models
    are given the same noise.

    Args:
        model: in any mode; it is left in evaluation mode.
        batches: on the model's device, with labels.
        sigma: standard deviation of the noise, as a multiple of the sensor's own.
        class_balance: of the cross-entropies; see `regularization.losses.pixel_weights`.
        seed: of the noise.

    Returns:
        {sensor: measures}; a sensor that no frame has is left out.
    """
    model.eval()
    device = next(model.parameters()).device
    estimator = InformationEstimator(sigma, _EPSILON, IGNORE, class_balance, MissingSensors("drop"))
    sums: dict[str, _Sums] = {name: _Sums() for name in model.sensors}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for batch in batches:
            for name in model.sensors:
                rows = _usable_rows(batch, name)
                if len(rows):
                    _add(sums[name], model, estimator, batch, name, rows, class_balance)
    return {name: own.result() for name, own in sums.items() if own.frames}


@dataclass
class _Sums:
    frames: int = 0
    information: float = 0.0
    own: float = 0.0
    other: float = 0.0

    def result(self) -> SensorInformation:
        relevance = 1 - self.own / self.other if self.other else 0.0
        return SensorInformation(information=self.information / self.frames, relevance=min(1.0, max(0.0, relevance)))


def _usable_rows(batch: TensorBatch, name: str) -> Tensor:
    """Return which frames have the sensor and a label."""
    labelled = (batch.target != IGNORE).flatten(1).any(1)
    return (batch.present[name] & labelled).nonzero()[:, 0]


def _add(
    sums: _Sums,
    model: AnySegmenter,
    estimator: InformationEstimator,
    batch: TensorBatch,
    name: str,
    rows: Tensor,
    class_balance: float,
) -> None:
    whole = SensorBatch(batch.inputs, batch.target, batch.present, rows)
    sums.information += float(estimator.unimodal(model, whole, name, rows, exact=False)) * len(rows)
    sums.frames += len(rows)
    if len(rows) < 2:
        return  # there is no other label
    with torch.no_grad():
        logits, target = model({name: batch.inputs[name][rows]}), batch.target[rows]
        # Half a batch away, because neighbours in a stream have nearly the same label.
        labels: Sequence[Tensor] = (target, target.roll(len(rows) // 2, 0))
        own, other = (float(sample_cross_entropy(logits, each, IGNORE, class_balance)[0].sum()) for each in labels)
    sums.own += own
    sums.other += other
