"""Audit a model: every subset of its sensors, and every sensor broken in every way."""

from contextlib import nullcontext
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from sensorproof import __version__
from sensorproof.auditing.corruption import NOISE, SILENT, Corruption
from sensorproof.auditing.frames import labelled, measure_statistics, open_batch, read_labelled, rows_of
from sensorproof.auditing.missing import needs_every_sensor
from sensorproof.auditing.models import AnyModel, AuditedModel, wrap_model
from sensorproof.auditing.result import Audit, Missing
from sensorproof.auditing.run import SUBSET, Progress, Run
from sensorproof.auditing.sources import open_model
from sensorproof.data.batch import Batch
from sensorproof.documents.audit import AuditRecord, BrokenSensor, CaseScore
from sensorproof.errors import BatchError, UsageError
from sensorproof.evaluation.expected import PROBABILITIES, expected_score
from sensorproof.evaluation.subsets import SubsetScores, subset_name
from sensorproof.serving.predictor import Predictor

_SEED = 0


def audit(
    model: AnyModel | Predictor | str | Path,
    batch: Batch | str | Path,
    *,
    missing: Missing = "auto",
    split: str | None = None,
    failures: bool = False,
    progress: Progress | None = None,
) -> Audit:
    """Score any model on a batch with every subset of its sensors: how badly does it depend on one of them?

    Args:
        model: a function of sensor arrays, or an `nn.Module`; see AnyModel. It does its own normalisation. Or a
            predictor from `load_model`; or, as text, a model folder, an address in an MLflow registry, an ONNX file,
            an MLflow pyfunc, or `module:callable`.
        batch: a batch with labels, or its folder.
        missing: how to present a sensor that is missing: `drop` leaves it out, `zero` gives zeros, `mean` the
            sensor's mean over the batch. `auto` leaves it out, and gives zeros if the model cannot do without it.
        split: only frames of this split (the column of frames.csv).
        failures: also give every sensor noise, and break it in ways that nobody declares.
        progress: called after each pass of the model.

    Returns:
        The scores, and how missing sensors were presented. A subset that the model gives no answer for has none.

    Raises:
        BatchError: the batch cannot be read or has no label.
        UsageError: `missing` is unknown, or the model's answers have another form with every subset.
        SensorproofError: a subset has no frame to score, or the model cannot be loaded.

    Examples:
        A model that looks at the camera alone, on a batch with a camera and a depth sensor:

        >>> from sensorproof import audit
        >>> def model(images):
        ...     return (images["camera"][0] > 100).astype(int)  # class ids (H, W)
        >>> result = audit(model, "data/raw/yard")
        >>> result.missing, sorted(result.scores.subsets)
        ('zero', ['camera', 'camera+depth', 'depth'])
    """
    if missing not in get_args(Missing):
        raise UsageError("missing", f"is {missing!r}", "choose from auto, drop, zero, mean")
    batch = open_batch(batch)
    opened = open_model(model) if isinstance(model, str | Path) else nullcontext(wrap_model(model))
    with opened as audited:
        return _audit(audited, batch, missing, split, failures, progress or (lambda done, total: None))


def _audit(
    model: AuditedModel, batch: Batch, missing: Missing, split: str | None, failures: bool, progress: Progress
) -> Audit:
    model.check(batch)
    sensors = tuple(sorted(batch.sensors if model.sensors is None else set(model.sensors) & set(batch.sensors)))
    if not sensors:
        fault = f"has none of the sensors that the model takes: {', '.join(model.sensors or ())}"
        raise BatchError(batch.root / "batch.yaml", fault, "give a batch with one or more of them, by these names")
    everywhere = rows_of(batch, split)
    rows = labelled(batch, everywhere)
    if split and not rows:
        raise BatchError(
            batch.root, f"has no labelled frame of the split {split}", "see the column split of frames.csv"
        )
    reason = ""
    if missing == "auto":
        missing, reason = _choose_missing(model, batch, sensors, rows)
    statistics = measure_statistics(batch, sensors, everywhere) if failures or missing == "mean" else {}
    means = statistics if missing == "mean" else {}
    corruption = Corruption(batch, statistics, everywhere) if failures else None
    run = Run(model, batch, sensors, missing, means, corruption, len(rows), progress)
    for number, (row, frame, truth) in enumerate(read_labelled(batch, sensors, rows)):
        run.add(number, row, frame.images, truth)
    progress(run.total, run.total)
    scores = run.scores()
    return Audit(scores, missing, run.frames, _record(run, scores, split, reason))


def _choose_missing(
    model: AuditedModel, batch: Batch, sensors: tuple[str, ...], rows: list[int]
) -> tuple[Literal["drop", "zero"], str]:
    """Try the first of the frames that have the most sensors; return what to do, and why."""
    table = batch.frames.iloc[rows]
    number = (table[list(sensors)] != "").sum(axis=1).to_numpy()
    order = [rows[place] for place in np.argsort(-number, kind="stable")]
    _, frame, truth = next(read_labelled(batch, sensors, order))
    reason = needs_every_sensor(model, frame.images, truth.shape)
    return ("zero" if reason else "drop"), reason


def _record(run: Run, scores: SubsetScores, split: str | None, reason: str) -> AuditRecord:
    """Return everything that was found as a document."""
    complete = len(scores.subsets) == len(run.subsets)
    ways: dict[str, dict[str, dict[str, CaseScore]]] = {
        sensor: {NOISE: {}, SILENT: {}} for sensor in (run.sensors if run.corruption else ())
    }
    for protocol, sensor, kind in run.broken:
        ways[sensor][protocol][kind] = run.case(protocol, sensor, kind)
    return AuditRecord(
        version=__version__,
        model=run.model.name,
        kind=run.model.kind,
        batch=run.batch.name,
        split=split,
        frames=run.frames,
        sensors=run.sensors,
        missing="drop" if run.missing == "auto" else run.missing,
        missing_reason=reason,
        full=scores.subsets.get(subset_name(run.sensors)),
        mean=scores.mean,
        worst=scores.worst,
        spread=scores.spread,
        expected={f"{p:g}": expected_score(scores.subsets, run.sensors, p) for p in PROBABILITIES} if complete else {},
        subsets={subset_name(subset): run.case(SUBSET, *subset) for subset in run.subsets},
        per_class=scores.per_class,
        support=scores.support,
        broken={name: BrokenSensor(noise=own[NOISE], failures=own[SILENT]) for name, own in ways.items()},
        seed=_SEED,
    )
