"""Score a model on the hold-out, the labelled test frames, and keep what each frame contributes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sensorproof.data.dataset import PreparedDataset, TensorBatch
from sensorproof.data.holdout import frame_names, hash_holdout
from sensorproof.documents.calibration import Calibration
from sensorproof.documents.contributions import SensorInformation
from sensorproof.documents.protocols import ProtocolScores
from sensorproof.documents.silent import SilentScores
from sensorproof.evaluation.calibration import CalibrationCounts
from sensorproof.evaluation.failures import FAILURES
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.information import measure_information
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.protocols import score_protocols
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.evaluation.subsets import Observer, SubsetScores, all_subsets, count_subsets, subset_name
from sensorproof.models import Segmenter, load_model
from sensorproof.models.windows import AnySegmenter, Windows, in_windows
from sensorproof.monitoring.monitor import load_monitor
from sensorproof.settings import Settings
from sensorproof.settings.evaluation import Protocol
from sensorproof.training.loop import choose_device

Part = Literal["subsets", "silent", "information"] | Protocol


def count_holdout(
    model: AnySegmenter,
    data: PreparedDataset,
    settings: Settings,
    holdout: str = "",
    observe: Observer | None = None,
) -> PixelCounts:
    """Score a model on every frame of the hold-out with every subset of its sensors; it moves to the device.

    Args:
        model: any model of ours with the sensors of the data, from `show_windows`.
        data: the prepared data.
        settings: device and batch size.
        holdout: the hash of the hold-out, if it is known; else it is computed.
        observe: see `count_subsets`.

    Raises:
        SensorproofError: there is no labelled test frame, or the device does not exist.
    """
    where = choose_device(settings.train.device)
    model.to(where)
    counts = count_subsets(model, _test_batches(data, settings), observe=observe)
    sites, sequences, conditions = (
        tuple(map(str, data.frames.loc[data.rows("test")][column])) for column in ("site", "sequence", "condition")
    )
    return PixelCounts(
        counts=counts,
        frames=frame_names(data),
        sequences=tuple(f"{site}/{sequence}" for site, sequence in zip(sites, sequences, strict=True)),
        sites=sites,
        conditions=conditions,
        sensors=tuple(model.sensors),
        classes=tuple(data.meta.class_names),
        holdout=holdout or hash_holdout(data),
    )


def _test_batches(data: PreparedDataset, settings: Settings) -> Iterator[TensorBatch]:
    where = choose_device(settings.train.device)
    return (batch.to(where) for batch in data.ordered("test", settings.evaluate.batch_size))


def show_windows(model: Segmenter, settings: Settings) -> AnySegmenter:
    """Return the model as it is scored: on whole images, or in the windows of `evaluate.window`."""
    window, overlap = settings.evaluate.window, settings.evaluate.overlap
    return in_windows(model, Windows((window[0], window[1]), overlap) if window else None)


@dataclass(frozen=True)
class PartScores:
    """What one part of the evaluation of a training gives; the rest is None."""

    scores: SubsetScores | None = None
    counts: PixelCounts | None = None
    """What `scores` are made of."""
    calibration: dict[str, Calibration] | None = None
    """{subset: calibration}."""
    silent: SilentScores | None = None
    """None also if the model has no monitor."""
    information: dict[str, SensorInformation] | None = None
    """{sensor: information}."""
    protocols: ProtocolScores[float] | None = None
    """Of one protocol; without the expected scores of the subsets, which this part does not know."""


def score_part(part: Part, folder: Path, data: PreparedDataset, settings: Settings, holdout: str = "") -> PartScores:
    """Measure one part of what the evaluation says of a finished training.

    Args:
        part: what to measure.
        folder: what stage train wrote.
        data: the prepared data.
        settings: device, batch size and protocols.
        holdout: see `count_holdout`.

    Raises:
        SensorproofError: a subset has no frame to score, or the model answers NaN; see also `count_holdout`.
    """
    model, description = load_model(folder / "model")
    data = data.with_inputs(description.sensors)
    shown = show_windows(model, settings)
    if part == "subsets":
        calibration = CalibrationCounts(map(subset_name, all_subsets(model.sensors)))
        counts = count_holdout(shown, data, settings, holdout, calibration.add)
        return PartScores(scores=counts.scores(), counts=counts, calibration=calibration.results())
    model.to(choose_device(settings.train.device))
    frames, evaluate = PreparedFrames.of_split(data, "test"), settings.evaluate
    if part == "silent":
        monitor = load_monitor(folder / "model")
        return PartScores(silent=None if monitor is None else score_silent_failures(shown, monitor, frames, FAILURES))
    if part == "information":
        sigma, batches = settings.regularizer.sigma, _test_batches(data, settings)
        return PartScores(information=measure_information(shown, batches, sigma, settings.train.class_balance))
    probabilities = evaluate.probabilities(model.sensors)
    return PartScores(protocols=score_protocols(shown, frames, {}, [part], probabilities, evaluate.severities))
