"""`sensorproof bench training`: what training at size reaches, against a plain float32 loop of the same model.

Everything is measured in one run, on random images and labels: frames per second, memory, the share of the device's
peak, and what the regulariser adds to a step.
"""

import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import torch
from torch.amp import GradScaler
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from sensorproof.benchmarks.loading import measure_loading
from sensorproof.data.dataset import TensorBatch
from sensorproof.models import Segmenter
from sensorproof.objectives.build import build_objective
from sensorproof.settings import Arm, RegularizerSettings, TrainSettings
from sensorproof.training.acceleration import accelerated
from sensorproof.training.loop import build_optimizer, choose_device
from sensorproof.training.processes import Processes, share_out
from sensorproof.training.step import TYPES, Stepper, make_pass

GOAL_SPEED, GOAL_REGULARIZER = 4.0, 1.15
"""On an H100 or H200 at the paper's size: frames per second over the plain loop's, and the regulariser's step."""
PLAIN, FAST, REGULARIZED = "plain float32", "fast", "fast, regularised"
_ARMS: dict[str, Arm] = {FAST: "baseline", REGULARIZED: "regularized_dropout"}
_LEARNING_RATE = 1e-6
_WARMUP_STEPS = 3
_PROBE = {"cuda": 8192, "cpu": 1024}
"""Side of the matrices whose product gives a device's peak."""
_PROBES = 5
_GIB = 2.0**30


@dataclass(frozen=True)
class Workload:
    """Training steps to measure; by default those of the paper's size."""

    sensors: int = 4
    size: tuple[int, int] = (1024, 1024)
    """Height and width in pixels."""
    backbone: str = "mit_b0"
    decoder_channels: int = 256
    classes: int = 25
    samples: int = 4
    """Frames of a step."""
    rounds: int = 20
    """Steps of each kind."""
    seconds: float = 480.0
    """No round begins after so many."""

    def make_batch(self, device: torch.device) -> TensorBatch:
        """Return random images of three channels, and labels."""
        torch.manual_seed(0)
        names = [f"sensor{k}" for k in range(self.sensors)]
        return TensorBatch(
            {name: torch.randn(self.samples, 3, *self.size) for name in names},
            {name: torch.ones(self.samples, dtype=torch.bool) for name in names},
            torch.randint(0, self.classes, (self.samples, *self.size)),
        ).to(device)

    def make_model(self, device: torch.device) -> Segmenter:
        """Return a new model in training mode; the same at every call."""
        torch.manual_seed(0)
        channels = {f"sensor{k}": 3 for k in range(self.sensors)}
        return Segmenter(channels, self.classes, self.backbone, self.decoder_channels).to(device).train()


def bench_training(
    work: Workload, train: TrainSettings, regularizer: RegularizerSettings, device: str = "auto"
) -> dict[str, float | str]:
    """Measure three kinds of steps, in turn in every round, so that other load on the machine affects all alike.

    - `plain float32`: a loop of a few lines in float32.
    - `fast`: the baseline as this project trains it, with the options of `train`.
    - `fast, regularised`: the same with the regulariser and modality dropout.

    Args:
        work: shape of the data, model and number of steps.
        train: options of the fast steps.
        regularizer: the section `regularizer`.
        device: see `choose_device`.

    Returns:
        The names of device and torch. Of each kind `<kind>/step_s`, `<kind>/frames_s`, on a GPU `<kind>/memory_gib`
        (the peak of a step) and, for the first two, `<kind>/peak_share` of the device's peak, which is that of a large
        matrix product in the same precision; the figures of `measure_loading`. `speed` is that of fast steps as a
        multiple of the plain ones, `regularizer` the time of a regularised step as a multiple of a fast one; both are
        medians over the rounds.

    Raises:
        SensorproofError: the device does not exist, the samples do not divide by `train.accumulate`, or a setting
            does not fit the arm.
    """
    began, where = time.perf_counter(), choose_device(device)
    share_out(work.samples, 1, train.accumulate)
    batch = work.make_batch(where)
    results: dict[str, float | str] = {"device": _name(where), "torch": str(torch.__version__)}
    with ExitStack() as stack:
        plain = work.make_model(where)
        steps = {PLAIN: _plain_step(plain, batch)}
        operations = _count_operations(plain, batch)
        for kind, arm in _ARMS.items():
            model = work.make_model(where)
            stack.enter_context(accelerated(model, train))
            steps[kind] = _fast_step(model, batch, arm, train, regularizer, where)
        for step in steps.values():
            for number in range(_WARMUP_STEPS):
                step(number)
        rounds: list[dict[str, float]] = []
        peaks = {PLAIN: _Probe(where, "float32"), FAST: _Probe(where, train.precision)}
        memory = dict.fromkeys(steps, 0.0)
        while not rounds or (len(rounds) < work.rounds and time.perf_counter() - began < work.seconds):
            rounds.append({})
            for kind, step in steps.items():
                rounds[-1][kind], used = _measure(step, where)
                memory[kind] = max(memory[kind], used)
            for peak in peaks.values():
                peak.try_again()
    for kind in steps:
        seconds = median(times[kind] for times in rounds)
        results |= {f"{kind}/step_s": seconds, f"{kind}/frames_s": work.samples / seconds}
        if where.type == "cuda":
            results[f"{kind}/memory_gib"] = memory[kind]
    for kind, peak in peaks.items():
        results[f"{kind}/peak_share"] = operations / median(times[kind] for times in rounds) / peak.per_second
    results["speed"] = median(times[PLAIN] / times[FAST] for times in rounds)
    results["regularizer"] = median(times[REGULARIZED] / times[FAST] for times in rounds)
    fast_s = median(times[FAST] for times in rounds)
    results |= measure_loading(work.sensors, work.size, work.classes, work.samples, fast_s, where)
    return results


def _plain_step(model: Segmenter, batch: TensorBatch) -> Callable[[int], None]:
    """Return the step of a loop as anyone would write it first."""
    optimizer = build_optimizer(model, _LEARNING_RATE, 0.01)

    def step(number: int) -> None:
        del number
        optimizer.zero_grad()
        cross_entropy(model(batch.inputs), batch.target).backward()
        optimizer.step()

    return step


def _fast_step(
    model: Segmenter,
    batch: TensorBatch,
    arm: Arm,
    train: TrainSettings,
    regularizer: RegularizerSettings,
    device: torch.device,
) -> Callable[[int], None]:
    """Return the step of an arm as the training loop makes it."""
    optimizer = build_optimizer(model, _LEARNING_RATE, 0.01)
    scaler = GradScaler(device.type, enabled=train.precision == "float16")
    objective = build_objective(arm, regularizer, train.class_balance)
    objective.hard_pixels = train.hard_pixels
    alone = Processes()
    module = make_pass(model, objective, alone, sharded=False)
    make_step = Stepper(model, objective, module, optimizer, scaler, train, device, alone)

    def step(number: int) -> None:
        make_step(batch, number)

    return step


def _measure(step: Callable[[int], None], device: torch.device) -> tuple[float, float]:
    """Return the seconds of a step and, on a GPU, the GiB that it takes at its peak beyond what was held before."""
    if device.type != "cuda":
        began = time.perf_counter()
        step(0)
        return time.perf_counter() - began, 0.0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    held, began = torch.cuda.memory_allocated(device), time.perf_counter()
    step(0)
    torch.cuda.synchronize(device)
    return time.perf_counter() - began, (torch.cuda.max_memory_allocated(device) - held) / _GIB


def _count_operations(model: Segmenter, batch: TensorBatch) -> int:
    """Return the floating point operations of a step's matrix products and convolutions.

    They are three times those of a forward pass, as is usual for the share of a device's peak.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(batch.inputs)
    return 3 * counter.get_total_flops()


class _Probe:
    """The operations per second of a large matrix product: what a device reaches at its peak.

    It takes its turn in every round, and the fastest counts.

    Args:
        device: on which it runs.
        precision: of the matrices.
    """

    def __init__(self, device: torch.device, precision: str) -> None:
        self._device, side = device, _PROBE[device.type]
        self._factor = torch.randn(side, side, device=device).to(TYPES[precision])
        self._operations = 2 * side**3
        self.per_second = 0.0
        self.try_again()

    def try_again(self) -> None:
        """Measure a few products."""
        for _ in range(_PROBES):
            seconds, _ = _measure(self._multiply, self._device)
            self.per_second = max(self.per_second, self._operations / seconds)

    def _multiply(self, number: int) -> None:
        del number
        torch.mm(self._factor, self._factor)


def _name(device: torch.device) -> str:
    """Return what a person calls the device."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
