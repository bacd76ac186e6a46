"""What a training step costs: time and memory of every arm and form as a ratio to the plain step, in one run."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from sensorproof.data.dataset import TensorBatch
from sensorproof.models import Segmenter
from sensorproof.objectives.base import CrossEntropyObjective, Loss, Objective
from sensorproof.objectives.build import FIRST_MEASURED, MEASURE_EVERY, Regularized, build_objective
from sensorproof.regularization.functional_entropy import FunctionalEntropy
from sensorproof.settings import Arm, RegularizerSettings
from sensorproof.training.loop import build_optimizer

PLAIN: Arm = "baseline"
ARMS: tuple[Arm, ...] = get_args(Arm)
EXACT: dict[str, Literal["single", "paper", "gat"]] = {"exact": "single", "paper": "paper", "gat": "gat"}
"""Forms with second derivatives: ours, that of arXiv 2505.06635, and that of NeurIPS 2020."""
_OWN_LOOP = "own loop"
"""The README's loop around a model that shows nothing but its logits."""
VARIANTS = (*ARMS, _OWN_LOOP, *EXACT)
CLASSES = 9
_WARMUP = 3
PLAIN_STEP, MEASURING_STEP = 0, FIRST_MEASURED
_LEARNING_RATE = 1e-5
"""Small: the variants take turns on one model, whose random labels are not to be learnt."""
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_TRIM_THRESHOLD_": "0"}
"""Makes glibc give freed memory back at once, so that the peak of a process is that of what it uses."""


def bench_regularizer(
    settings: RegularizerSettings,
    class_balance: float,
    *,
    rounds: int = 15,
    samples: int = 16,
    sensors: int = 4,
    size: tuple[int, int] = (64, 80),
) -> dict[str, float]:
    """Ratios to the plain training step, in time and memory, and a regularised model's to a plain one at inference.

    Args:
        class_balance: of every variant's cross-entropies.

    Returns:
        What step_times, step_memory and inference do.
    """
    batch = made_up_batch(samples, sensors, size)
    found = step_times(settings, class_balance, batch, rounds)
    found |= _step_memory(settings, class_balance, samples, sensors, size)
    return found | inference(settings, class_balance, batch, rounds)


def step_times(
    settings: RegularizerSettings, class_balance: float, batch: TensorBatch, rounds: int
) -> dict[str, float]:
    """Step times of the variants.

    Each round takes one step of every variant in turn, so that what else the machine does strikes all alike; the
    ratio is the median over the rounds of that within a round. Every MEASURE_EVERY-th step of a training measures what
    each sensor contributes as well: such steps have rounds of their own, and their share in the figure.

    Returns:
        `time/<variant>` in ratio to the baseline's, `time/regularized_dropout, measuring` of measuring steps alone, and
        `baseline/seconds`.
    """
    model = _made_up_model(batch)
    steps = {name: _stepper(model, _objective_of(name, settings, class_balance), batch) for name in VARIANTS}
    for _ in range(_WARMUP):
        _in_turn(steps, PLAIN_STEP)
    usual = [_in_turn(steps, PLAIN_STEP) for _ in range(rounds)]
    measuring = [_in_turn(steps, MEASURING_STEP) for _ in range(max(1, rounds // 3))]
    found = {f"{PLAIN}/seconds": median(each[PLAIN] for each in usual)}
    for name in VARIANTS[1:]:
        often, seldom = (median(each[name] / each[PLAIN] for each in times) for times in (usual, measuring))
        found[f"time/{name}"] = often + (seldom - often) / MEASURE_EVERY
        if name == "regularized_dropout":
            found["time/regularized_dropout, measuring"] = seldom
    return found


def _step_memory(
    settings: RegularizerSettings, class_balance: float, samples: int, sensors: int, size: tuple[int, int]
) -> dict[str, float]:
    """`memory/<variant>`: peak memory beyond what the process held after one step, in ratio to the baseline's.

    Measuring steps are included. A process of its own for each variant; Linux only.
    """
    peaks = {name: _peak_memory(name, settings, class_balance, samples, sensors, size) for name in VARIANTS}
    return {f"memory/{name}": peaks[name] / peaks[PLAIN] for name in VARIANTS[1:]}


def _made_up_model(batch: TensorBatch) -> Segmenter:
    """The model of the embedded data's trainings, in training mode."""
    return Segmenter({name: x.shape[1] for name, x in batch.inputs.items()}, CLASSES, "tiny", 64).train()


def made_up_batch(samples: int, sensors: int, size: tuple[int, int]) -> TensorBatch:
    """Random images and labels of the shape of training data."""
    torch.manual_seed(0)
    names = [f"sensor{i}" for i in range(sensors)]
    inputs = {name: torch.randn(samples, 3 if name == "sensor0" else 1, *size) for name in names}
    present = {name: torch.ones(samples, dtype=torch.bool) for name in names}
    return TensorBatch(inputs, present, torch.randint(0, CLASSES, (samples, *size)))


class _OwnLoop(CrossEntropyObjective):
    """The plain loss and the term, neither of which knows the other's features."""

    def __init__(self, settings: RegularizerSettings, class_balance: float) -> None:
        super().__init__(class_balance)
        self.term = FunctionalEntropy(settings.strength, class_balance=class_balance)

    def __call__(
        self,
        model: Segmenter,
        inputs: Mapping[str, Tensor],
        target: Tensor,
        present: Mapping[str, Tensor] | None,
        step: int,
    ) -> Loss:
        plain = self.cross_entropy(model(inputs, present), target)
        term = self.term(model, inputs, target, present=present, return_information=False)
        return Loss(plain + term.value)


def _objective_of(name: str, settings: RegularizerSettings, class_balance: float) -> Objective:
    """The objective of a variant."""
    if name == _OWN_LOOP:
        return _OwnLoop(settings, class_balance)
    if name not in EXACT:
        return build_objective(cast(Arm, name), settings, class_balance)
    exact = settings.model_copy(update={"form": EXACT[name], "estimator": "exact", "fraction": 1.0, "every": 1})
    return Regularized(exact, "single", class_balance)


def _stepper(model: Segmenter, objective: Objective, batch: TensorBatch) -> Callable[[int], None]:
    """A step of a number as the training loop makes it, update included."""
    optimizer = build_optimizer(model, _LEARNING_RATE, 0.0)

    def step(number: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        objective(model, batch.inputs, batch.target, None, number).value.backward()
        objective.after_backward(model)
        optimizer.step()

    return step


def _in_turn(steps: dict[str, Callable[[int], None]], number: int) -> dict[str, float]:
    """Seconds of a step of every variant."""
    return {name: _timed(lambda step=step: step(number)) for name, step in steps.items()}  # type: ignore[misc]


def _timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _peak_memory(
    name: str, settings: RegularizerSettings, class_balance: float, samples: int, sensors: int, size: tuple[int, int]
) -> float:
    """Peak resident memory of a few steps beyond that of the process before them, MiB, in a fresh process."""
    os.environ |= _MALLOC
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_grown, name, settings, class_balance, samples, sensors, size).result()


def _grown(
    name: str, settings: RegularizerSettings, class_balance: float, samples: int, sensors: int, size: tuple[int, int]
) -> float:
    batch = made_up_batch(samples, sensors, size)
    model = _made_up_model(batch)
    step = _stepper(model, _objective_of(name, settings, class_balance), batch)
    step(MEASURING_STEP)  # what is allocated once and kept
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _status_kib("VmRSS")
    for number in (PLAIN_STEP, MEASURING_STEP, PLAIN_STEP):
        step(number)
    return (_status_kib("VmHWM") - before) / 1024


def _status_kib(key: str) -> int:
    """A line of /proc/self/status, KiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def inference(settings: RegularizerSettings, class_balance: float, batch: TensorBatch, rounds: int) -> dict[str, float]:
    """A model after a regularised step against one after a plain step: parameters and prediction time."""
    models = {}
    for name in (PLAIN, "regularized_dropout"):
        torch.manual_seed(0)
        model = _made_up_model(batch)
        _stepper(model, _objective_of(name, settings, class_balance), batch)(PLAIN_STEP)
        models[name] = model.eval()
    count = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
    with torch.inference_mode():
        for model in models.values():
            model(batch.inputs)
        ratios = [
            _timed(lambda: models["regularized_dropout"](batch.inputs)) / _timed(lambda: models[PLAIN](batch.inputs))
            for _ in range(rounds)
        ]
    return {"inference/time": median(ratios), "inference/parameters": count["regularized_dropout"] / count[PLAIN]}
