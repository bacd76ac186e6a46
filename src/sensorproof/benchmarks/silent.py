"""`sensorproof bench silent`: what a monitor saves when a sensor fails without saying so, and what it costs."""

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from sensorproof.data.batch import Batch
from sensorproof.data.preprocessing import standardize
from sensorproof.documents.silent import SilentScores
from sensorproof.errors import UsageError
from sensorproof.evaluation.batch_frames import BatchFrames, read_frames
from sensorproof.evaluation.failures import FAILURES, FURTHER
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.serving.predictor import Predictor, check_fits

_ROUNDS = 30
_GOALS = {"shortfall": 1.0, "loss": 0.2, "false_alarms": 0.001, "time": 0.3}
"""Points; points; share of the images of sound sensors; share of the model's own time for a frame."""


def bench_silent(predictor: Predictor, batch: Batch, split: str | None, *, further: bool) -> tuple[SilentScores, float]:
    """Measure silent failures of every sensor on a batch, with and without the model's monitor.

    Args:
        predictor: a model with a monitor.
        batch: labelled frames of its sensors.
        split: only frames of this split.
        further: try failures that were not used in making the monitor, instead of those that were.

    Returns:
        The scores, and the monitor's time for one frame as a share of the model's own.

    Raises:
        UsageError: the model has no monitor.
        BatchError: the batch does not fit, or has no label.
    """
    if predictor.monitor is None:
        raise UsageError("model", "has no monitor", "train it with this version of sensorproof")
    check_fits(predictor, batch)
    frames = read_frames(batch, predictor.description, split)
    scores = score_silent_failures(predictor.model, predictor.monitor, frames, FURTHER if further else FAILURES)
    return scores, _time_share(predictor, frames)


def _time_share(predictor: Predictor, frames: BatchFrames) -> float:
    """Return the time of the monitor for one frame with all sensors, as a share of encoding and decoding it."""
    monitor, model = predictor.monitor, predictor.model
    assert monitor is not None
    row = np.array([int(np.argmax(sum(frames.present(name).astype(int) for name in frames.sensors)))])
    pixels = {name: frames.images(name, row) for name in frames.sensors}
    present = {name: np.ones(1, bool) for name in pixels}
    inputs = {n: standardize(x, frames.sensors[n]).to(predictor.device) for n, x in pixels.items()}
    with torch.inference_mode():
        features = model.encode(inputs)
        stream = monitor.open_stream()
        ratios = []
        for _ in range(_ROUNDS):
            own = _seconds(lambda: model.decode(model.encode(inputs)).argmax(1).cpu())
            watched = _seconds(lambda: monitor.judge(monitor.measure(pixels, present, features, model), 0, stream))
            ratios.append(watched / own)
    return statistics.median(ratios)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def table(scores: SilentScores) -> str:
    """Return the scores as a Markdown table, a row for each sensor and failure."""
    rows = [
        f"All sensors sound: {scores.full:.1f} without the monitor, {scores.monitored:.1f} with it.",
        "",
        "| sensor | failure | declared absent | kept | monitored | below the better | noticed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, sensor in scores.sensors.items():
        for kind, own in sensor.failures.items():
            numbers = f"{sensor.absent:.1f} | {own.kept:.1f} | {own.monitored:.1f}"
            shortfall = f"{sensor.shortfall(kind):+.1f}"
            bold = f"**{shortfall}**" if sensor.shortfall(kind) > _GOALS["shortfall"] else shortfall
            rows.append(f"| {name} | {kind.replace('_', ' ')} | {numbers} | {bold} | {100 * own.noticed:.0f} % |")
    rows += ["", "| condition | images of sound sensors | left out |", "|---|---|---|"]
    rows += [f"| {name} | {each.images} | {each.alarms} |" for name, each in scores.conditions.items()]
    return "\n".join(rows)


def goals(scores: SilentScores, time_share: float) -> Iterator[str]:
    """Yield a sentence on each goal."""
    shortfalls = [own.shortfall(kind) for own in scores.sensors.values() for kind in own.failures]
    missed = sum(value > _GOALS["shortfall"] for value in shortfalls)
    name, kind, worst = scores.worst
    yield (
        f"At most {_GOALS['shortfall']:g} point below the better of absent and kept: {len(shortfalls) - missed} of "
        f"{len(shortfalls)} cases; worst {worst:+.1f} ({name}, {kind.replace('_', ' ')})."
    )
    yield f"Sound frames lose {scores.loss:.2f} points (goal: at most {_GOALS['loss']:g})."
    alarms = scores.false_alarms
    share = alarms.alarms / max(1, alarms.images)
    yield f"False alarms: {alarms.alarms} of {alarms.images} images, {share:.4f} (goal: {_GOALS['false_alarms']:g})."
    yield f"Time: {100 * time_share:.0f} % of the model's own (goal: at most {100 * _GOALS['time']:.0f} %)."
