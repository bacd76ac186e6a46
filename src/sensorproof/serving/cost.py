"""Compare what two models cost at inference: parameters, and the time for one frame, both measured now."""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents.comparison import Estimate
from sensorproof.models import Segmenter, load_model
from sensorproof.settings import Settings
from sensorproof.training.loop import choose_device

_WARM_UP = 3
_FEWEST, _MOST = 10, 40
"""Pairs of measurements; as many as fit into `_SECONDS`, but not fewer."""
_SECONDS = 20.0


def compare_cost(ours: Path, theirs: Path, data: PreparedDataset, settings: Settings) -> tuple[Estimate, float]:
    """Compare the inference of two models on one test frame with all sensors.

    The two take turns, each going first every other time, so that a busy machine slows down both alike.

    Args:
        ours: the model folder of the candidate.
        theirs: that of the champion.
        data: the prepared data.
        settings: the device, and the confidence of the interval.

    Returns:
        The ratio of the median times, ours to theirs, with a bootstrap interval over the pairs of measurements; and
        the ratio of the numbers of parameters.

    Raises:
        SensorproofError: a model cannot be loaded.
    """
    device = choose_device(settings.train.device)
    models = [load_model(folder)[0].to(device) for folder in (ours, theirs)]
    inputs = data.batch(data.rows("test")[:1]).to(device).inputs
    parameters = [sum(parameter.numel() for parameter in model.parameters()) for model in models]
    times = _take_turns(models, inputs)
    rng = np.random.default_rng(0)
    drawn = times[rng.integers(len(times), size=(settings.promotion.resamples, len(times)))]
    medians = np.median(drawn, axis=1)
    tail = (1 - settings.evaluate.confidence) / 2
    low, high = map(float, np.quantile(medians[:, 0] / medians[:, 1], [tail, 1 - tail]))
    mine, other = np.median(times, axis=0)
    return Estimate(value=float(mine / other), interval=(low, high)), parameters[0] / parameters[1]


@torch.inference_mode()
def _take_turns(models: list[Segmenter], inputs: dict[str, Tensor]) -> NDArray[np.float64]:
    """Time both models in turns: (pairs, 2) seconds."""
    for _ in range(_WARM_UP):
        for model in models:
            _time(model, inputs)
    times: list[list[float]] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _FEWEST or (len(times) < _MOST and time.perf_counter() < end):
        pair = [0.0, 0.0]
        for index in (0, 1) if len(times) % 2 else (1, 0):
            pair[index] = _time(models[index], inputs)
        times.append(pair)
    return np.array(times)


def _time(model: Segmenter, inputs: dict[str, Tensor]) -> float:
    """Return the seconds of one forward pass."""
    start = time.perf_counter()
    model(inputs).argmax(1).cpu()  # which waits for a GPU
    return time.perf_counter() - start
