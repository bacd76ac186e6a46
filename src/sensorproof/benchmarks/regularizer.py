"""Cost of a training step: time and memory of every arm and variant, as ratios to the plain step of the same run."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from sensorproof.data.dataset import TensorBatch
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, Inputs, Loss, Objective, Present
from sensorproof.objectives.build import build_objective
from sensorproof.objectives.regularized import FIRST_MEASURED, MEASURE_EVERY, Regularized
from sensorproof.regularization.functional_entropy import FunctionalEntropy
from sensorproof.settings import Arm, RegularizerSettings
from sensorproof.training.loop import build_optimizer

_PLAIN: Arm = "baseline"
_CANDIDATE: Arm = "regularized_dropout"
_EXACT: dict[str, Literal["single", "paper", "gat"]] = {"exact": "single", "paper": "paper", "gat": "gat"}
"""Variants with second derivatives: that of this project, of arXiv 2505.06635, and of Gat et al. (NeurIPS 2020)."""
_OWN_LOOP = "own loop"
"""The README's loop with a model that offers nothing but its logits."""
METHODS: tuple[str, ...] = (*get_args(Arm), _OWN_LOOP, *_EXACT)
_CLASSES = 9
_WARMUP_STEPS = 3
_PLAIN_STEP, _MEASURING_STEP = 0, FIRST_MEASURED
_LEARNING_RATE = 1e-5
"""Small, because the methods take turns on one model, which must not learn its random labels."""
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0"}
"""Makes glibc return freed memory at once, so that the peak of a process is that of the memory in use."""


@dataclass(frozen=True)
class TrainingSteps:
    """Training steps to measure: settings, and the shape of the data (by default that of the embedded data)."""

    settings: RegularizerSettings
    class_balance: float
    """Of every method's cross-entropies."""
    samples: int = 16
    sensors: int = 4
    size: tuple[int, int] = (64, 80)
    """Height and width in pixels."""

    def make_batch(self) -> TensorBatch:
        """Return random images and labels."""
        torch.manual_seed(0)
        names = [f"sensor{i}" for i in range(self.sensors)]
        inputs = {n: torch.randn(self.samples, 3 if n == "sensor0" else 1, *self.size) for n in names}
        present = {name: torch.ones(self.samples, dtype=torch.bool) for name in names}
        return TensorBatch(inputs, present, torch.randint(0, _CLASSES, (self.samples, *self.size)))

    def make_step(self, method: str, model: Segmenter, batch: TensorBatch) -> Callable[[int], None]:
        """Return a function that makes the step of a given number as the training loop does, update included."""
        objective = self._make_objective(method)
        optimizer = build_optimizer(model, _LEARNING_RATE, 0.0)

        def step(number: int) -> None:
            optimizer.zero_grad(set_to_none=True)
            objective(model, batch.inputs, batch.target, None, number).value.backward()
            objective.after_backward(model)
            optimizer.step()

        return step

    def _make_objective(self, method: str) -> Objective:
        if method == _OWN_LOOP:
            return _OwnLoop(self.settings, self.class_balance)
        if method in _EXACT:
            change = {"variant": _EXACT[method], "estimator": "exact", "batch_fraction": 1.0, "every_n_steps": 1}
            return Regularized(self.settings.model_copy(update=change), "single", self.class_balance)
        return build_objective(cast(Arm, method), self.settings, self.class_balance)


class _OwnLoop(CrossEntropyObjective):
    """The plain loss and the term, neither of which knows the other's features."""

    def __init__(self, settings: RegularizerSettings, class_balance: float) -> None:
        super().__init__(class_balance)
        self.regularizer = FunctionalEntropy(settings.strength, class_balance=class_balance)

    def __call__(self, model: Segmenter, inputs: Inputs, target: Tensor, present: Present, step: int) -> Loss:
        """Return the loss of a step; see `Objective`."""
        plain = self.cross_entropy(model(inputs, present), target)
        term = self.regularizer(model, inputs, target, present=present, return_information=False)
        return Loss(plain + term.value)


def bench_regularizer(settings: RegularizerSettings, class_balance: float, *, rounds: int = 15) -> dict[str, float]:
    """Measure what the methods cost, and what a regularised model costs at inference.

    Args:
        settings: the section `regularizer`.
        class_balance: of every method's cross-entropies.
        rounds: number of repeated measurements.

    Returns:
        The results of `step_times`, `step_memory` and `inference`.
    """
    steps = TrainingSteps(settings, class_balance)
    return step_times(steps, rounds) | step_memory(steps) | inference(steps, rounds)


def step_times(steps: TrainingSteps, rounds: int) -> dict[str, float]:
    """Measure the step times of the methods.

    In each round every method makes one step, so that other load on the machine affects all alike; a ratio is the
    median over the rounds of the ratio within a round. Every MEASURE_EVERY-th step of a training also measures what
    each sensor contributes: such steps have rounds of their own, and count with their share.

    Returns:
        `time/<method>` as a ratio to the baseline, `time/regularized_dropout, measuring` of measuring steps alone, and
        `baseline/seconds`.
    """
    batch = steps.make_batch()
    model = _make_model(batch)
    functions = {method: steps.make_step(method, model, batch) for method in METHODS}
    for _ in range(_WARMUP_STEPS):
        _time_round(functions, _PLAIN_STEP)
    plain = [_time_round(functions, _PLAIN_STEP) for _ in range(rounds)]
    measuring = [_time_round(functions, _MEASURING_STEP) for _ in range(max(1, rounds // 3))]
    results = {f"{_PLAIN}/seconds": median(seconds[_PLAIN] for seconds in plain)}
    for method in METHODS[1:]:
        usual, rare = (median(seconds[method] / seconds[_PLAIN] for seconds in times) for times in (plain, measuring))
        results[f"time/{method}"] = usual + (rare - usual) / MEASURE_EVERY
        if method == _CANDIDATE:
            results[f"time/{method}, measuring"] = rare
    return results


def step_memory(steps: TrainingSteps) -> dict[str, float]:
    """Measure the peak memory of a step beyond what the process held before, measuring steps included; Linux only.

    Returns:
        `memory/<method>` as a ratio to the baseline.
    """
    peaks = {method: _peak_memory(steps, method) for method in METHODS}
    return {f"memory/{method}": peaks[method] / peaks[_PLAIN] for method in METHODS[1:]}


def inference(steps: TrainingSteps, rounds: int) -> dict[str, float]:
    """Compare a model after a regularised step with one after a plain step: parameters and prediction time."""
    batch, models = steps.make_batch(), {}
    for method in (_PLAIN, _CANDIDATE):
        torch.manual_seed(0)
        model = _make_model(batch)
        steps.make_step(method, model, batch)(_PLAIN_STEP)
        models[method] = model.eval()
    count = {method: sum(p.numel() for p in model.parameters()) for method, model in models.items()}
    with torch.inference_mode():
        for model in models.values():
            model(batch.inputs)
        ratios = [
            _seconds(lambda: models[_CANDIDATE](batch.inputs)) / _seconds(lambda: models[_PLAIN](batch.inputs))
            for _ in range(rounds)
        ]
    return {"inference/time": median(ratios), "inference/parameters": count[_CANDIDATE] / count[_PLAIN]}


def _make_model(batch: TensorBatch) -> Segmenter:
    """Return the model that is trained on the embedded data, in training mode."""
    return Segmenter({name: x.shape[1] for name, x in batch.inputs.items()}, _CLASSES, "tiny", 64).train()


def _time_round(functions: dict[str, Callable[[int], None]], number: int) -> dict[str, float]:
    """Make one step of every method; return {method: seconds}."""
    return {m: _seconds(lambda step=step: step(number)) for m, step in functions.items()}  # type: ignore[misc]


def _seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _peak_memory(steps: TrainingSteps, method: str) -> float:
    """Return the peak memory of a few steps in MiB, measured in a fresh process."""
    os.environ |= _MALLOC
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_memory_growth, steps, method).result()


def _memory_growth(steps: TrainingSteps, method: str) -> float:
    """Return the peak resident memory of a few steps beyond that before them, in MiB."""
    batch = steps.make_batch()
    step = steps.make_step(method, _make_model(batch), batch)
    step(_MEASURING_STEP)  # what is allocated once and kept
    Path("/proc/self/clear_refs").write_text("5")  # restarts the peak
    before = _status_kib("VmRSS")
    for number in (_PLAIN_STEP, _MEASURING_STEP, _PLAIN_STEP):
        step(number)
    return (_status_kib("VmHWM") - before) / 1024


def _status_kib(key: str) -> int:
    """Return a value of /proc/self/status in KiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
