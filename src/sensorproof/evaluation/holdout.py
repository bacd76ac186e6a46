"""Score models on the hold-out, the labelled test frames, and keep what each frame contributes."""

from pathlib import Path

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.holdout import frame_names, hash_holdout
from sensorproof.documents.evaluation import BASELINE
from sensorproof.documents.runs import RunScores, TrainingRecord
from sensorproof.evaluation.failures import FAILURES
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.pixel_counts import PixelCounts
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.evaluation.subsets import count_subsets
from sensorproof.models import Segmenter, load_model
from sensorproof.monitoring.monitor import load_monitor
from sensorproof.settings import Settings
from sensorproof.training.loop import choose_device


def count_holdout(model: Segmenter, data: PreparedDataset, settings: Settings, holdout: str = "") -> PixelCounts:
    """Score a model on every frame of the hold-out with every subset of its sensors; it moves to the device.

    Args:
        model: any model of ours with the sensors of the data.
        data: the prepared data.
        settings: device and batch size.
        holdout: the hash of the hold-out, if it is known; else it is computed.

    Raises:
        SensorproofError: there is no labelled test frame, or the device does not exist.
    """
    where = choose_device(settings.train.device)
    model.to(where)
    batches = (batch.to(where) for batch in data.ordered("test", settings.evaluate.batch_size))
    counts = count_subsets(model, batches)
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


def score_run(
    folder: Path, model_sha256: str, data: PreparedDataset, settings: Settings, holdout: str = ""
) -> tuple[RunScores, PixelCounts]:
    """Score a finished training on the hold-out; baseline and candidate also with silent failures.

    Args:
        folder: what stage train wrote.
        model_sha256: hash of its model folder, which is recorded with the scores.
        data: the prepared data.
        settings: device and batch size.
        holdout: see `count_holdout`.

    Raises:
        SensorproofError: a subset has no frame to score; see also `count_holdout`.
    """
    training = TrainingRecord.read(folder / "train.json")
    model, _ = load_model(folder / "model")
    counts = count_holdout(model, data, settings, holdout)
    silent, monitor = None, load_monitor(folder / "model")
    if monitor is not None and training.arm in (BASELINE, settings.promotion.candidate):
        frames = PreparedFrames.of_split(data, "test")
        silent = score_silent_failures(model, monitor, frames, FAILURES)
    run = RunScores(
        **dict(counts.scores().to_document()),
        arm=training.arm,
        seed=training.seed,
        train_seconds=training.train_seconds,
        parameters=training.parameters,
        validation_mean=training.val.mean,
        model_sha256=model_sha256,
        silent=silent,
    )
    return run, counts
