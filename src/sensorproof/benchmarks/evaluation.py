"""`sensorproof bench evaluation`: what it costs to score every subset of the sensors, calibration included."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from sensorproof.data.dataset import TensorBatch
from sensorproof.data.metadata import IGNORE
from sensorproof.evaluation.calibration import CalibrationCounts
from sensorproof.evaluation.metrics import frame_counts
from sensorproof.evaluation.subsets import all_subsets, count_subsets, subset_name
from sensorproof.models import Segmenter

_DECODERS = {"tiny": 64, "mit_b0": 256}
"""{backbone: channels of the decoder}, as in params.yaml and in the SegFormer paper."""
_CHANNELS = {"camera": 3, "depth": 1, "lidar": 2, "thermal": 1}
_CLASSES = 9
_FRAMES = 16
GOAL = 3.0
"""All 15 subsets, as a multiple of one scored pass with all sensors."""


def bench_evaluation(size: tuple[int, int] = (64, 80), rounds: int = 15) -> dict[str, float]:
    """Compare all subsets of four sensors with one pass with all of them; both count pixels.

    In each round both take turns, so that other load on the machine affects both; the ratio is the median over the
    rounds of the ratio within a round.

    Args:
        size: height and width in pixels.
        rounds: of the measurement.

    Returns:
        `ratio/<backbone>`, and `seconds/<backbone>` of the pass with all sensors.
    """
    results = {}
    for backbone, channels in _DECODERS.items():
        torch.manual_seed(0)
        model = Segmenter(_CHANNELS, _CLASSES, backbone, channels).eval()
        batch = _make_batch(size)
        functions = (partial(_score_full, model, batch), partial(_score_subsets, model, batch))
        for function in functions:
            function()
        pairs = [tuple(_seconds(function) for function in functions) for _ in range(rounds)]
        results[f"ratio/{backbone}"] = median(subsets / full for full, subsets in pairs)
        results[f"seconds/{backbone}"] = median(full for full, _ in pairs)
    return results


def _make_batch(size: tuple[int, int]) -> TensorBatch:
    return TensorBatch(
        {name: torch.randn(_FRAMES, channels, *size) for name, channels in _CHANNELS.items()},
        {name: torch.ones(_FRAMES, dtype=torch.bool) for name in _CHANNELS},
        torch.randint(0, _CLASSES, (_FRAMES, *size)),
    )


@torch.inference_mode()
def _score_full(model: Segmenter, batch: TensorBatch) -> None:
    frame_counts(model(batch.inputs, batch.present), batch.target, IGNORE)


def _score_subsets(model: Segmenter, batch: TensorBatch) -> None:
    names = map(subset_name, all_subsets(model.sensors))
    count_subsets(model, [batch], observe=CalibrationCounts(names).add)


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
