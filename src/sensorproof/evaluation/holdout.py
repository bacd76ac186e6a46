"""Score models on the hold-out, the labelled test frames, and keep what each frame contributes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sensorproof.data.dataset import PreparedDataset, TensorBatch
from sensorproof.data.holdout import frame_names, hash_holdout
from sensorproof.documents.evaluation import BASELINE
from sensorproof.documents.runs import RunScores, TrainingRecord
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
from sensorproof.training.loop import choose_device


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


def score_run(
    folder: Path, model_sha256: str, data: PreparedDataset, settings: Settings, holdout: str = ""
) -> tuple[RunScores, PixelCounts]:
    """Score a finished training on the hold-out; baseline and candidate also under the protocols.

    Args:
        folder: what stage train wrote.
        model_sha256: hash of its model folder, which is recorded with the scores.
        data: the prepared data.
        settings: device, batch size and protocols.
        holdout: see `count_holdout`.

    Raises:
        SensorproofError: a subset has no frame to score, or the model answers NaN; see also `count_holdout`.
    """
    training = TrainingRecord.read(folder / "train.json")
    model, description = load_model(folder / "model")
    data = data.with_inputs(description.sensors)
    calibration = CalibrationCounts(map(subset_name, all_subsets(model.sensors)))
    scored = show_windows(model, settings)
    counts = count_holdout(scored, data, settings, holdout, calibration.add)
    scores = counts.scores()
    optional: dict[str, Any] = {"calibration": calibration.results()}
    if training.arm in (BASELINE, settings.promotion.candidate):
        optional |= _score_failures(folder, scored, scores, data, settings)
    run = RunScores(
        **dict(scores.to_document()),
        arm=training.arm,
        seed=training.seed,
        train_seconds=training.train_seconds,
        parameters=training.parameters,
        validation_mean=training.val.mean,
        model_sha256=model_sha256,
        **optional,
    )
    return run, counts


def _score_failures(
    folder: Path, model: AnySegmenter, scores: SubsetScores, data: PreparedDataset, settings: Settings
) -> dict[str, Any]:
    """Return the parts of a run that are measured of baseline and candidate alone."""
    frames, evaluate = PreparedFrames.of_split(data, "test"), settings.evaluate
    batches = _test_batches(data, settings)
    parts: dict[str, Any] = {
        "information": measure_information(model, batches, settings.regularizer.sigma, settings.train.class_balance)
    }
    monitor = load_monitor(folder / "model")
    if monitor is not None:
        parts["silent"] = score_silent_failures(model, monitor, frames, FAILURES)
    if evaluate.protocols:
        probabilities = evaluate.probabilities(model.sensors)
        parts["protocols"] = score_protocols(
            model, frames, scores.subsets, evaluate.protocols, probabilities, evaluate.severities
        )
    return parts
