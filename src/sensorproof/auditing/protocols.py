"""Audit a model: every subset of its sensors, and every sensor broken in every way."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from sensorproof import __version__
from sensorproof.auditing.corruption import DEGRADATIONS, NOISE, RMM, SILENT, AuditProtocol, Corruption
from sensorproof.auditing.frames import labelled, measure_statistics, open_batch, read_labelled, rows_of
from sensorproof.auditing.intervals import CONFIDENCE
from sensorproof.auditing.missing import needs_every_sensor
from sensorproof.auditing.models import AnyModel, AuditedModel, wrap_model
from sensorproof.auditing.result import Audit, Missing
from sensorproof.auditing.run import SUBSET, Progress, Run
from sensorproof.auditing.sources import open_model
from sensorproof.data.batch import Batch
from sensorproof.documents.audit import GIVEN, AuditRecord, BrokenSensor, CaseScore
from sensorproof.errors import BatchError, UsageError
from sensorproof.evaluation.degradations import SEVERITIES
from sensorproof.evaluation.expected import PROBABILITIES, Probability, expected_score
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
    protocols: Collection[AuditProtocol] = (),
    severities: Sequence[int] = (1, 3, 5),
    failure_probability: Probability | None = None,
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
        failures: also give every sensor noise, and break it in ways that nobody declares: `noise` and `silent`.
        protocols: what else to try: `noise`, `silent`, `degradations` (a sensor gets worse by degrees) and `rmm`
            (every subset, the others missing a share of their values).
        severities: of the degradations, 1 to 5.
        failure_probability: of each sensor, for the expected score: one for all, or {sensor: its own}.
        progress: called after each pass of the model.

    Returns:
        The scores, and how missing sensors were presented. A subset that the model gives no answer for has none.

    Raises:
        BatchError: the batch cannot be read or has no label.
        UsageError: `missing`, a protocol, a severity or a sensor with a probability is unknown, or the model's answers
            have another form with every subset.
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
    tried = {*protocols, *((NOISE, SILENT) if failures else ())}
    if unknown := sorted(tried - set(get_args(AuditProtocol))):
        raise UsageError("protocols", f"{unknown} are unknown", f"choose from {', '.join(get_args(AuditProtocol))}")
    if wrong := sorted(set(severities) - set(SEVERITIES)):
        raise UsageError("severities", f"{wrong} are unknown", "choose from 1 to 5")
    with opened as audited:
        asked = _Asked(missing, split, tried, sorted(set(severities)), failure_probability)
        return _audit(audited, batch, asked, progress or (lambda done, total: None))


@dataclass(frozen=True)
class _Asked:
    """What the user asked for."""

    missing: Missing
    split: str | None
    protocols: Collection[str]
    severities: Sequence[int]
    failure_probability: Probability | None

    def probabilities(self, sensors: Sequence[str]) -> dict[str, float]:
        """Return the probability of each sensor's failure; {} if none was given.

        Raises:
            UsageError: a sensor is unknown or has none, or a probability is not one.
        """
        given = self.failure_probability
        if given is None:
            return {}
        named = dict(given) if isinstance(given, Mapping) else dict.fromkeys(sensors, given)
        if wrong := sorted(set(named) ^ set(sensors)):
            fix = f"give one for each of {', '.join(sensors)}"
            raise UsageError("failure probability", f"is unknown or missing for {', '.join(wrong)}", fix)
        if wrong := sorted(name for name, value in named.items() if not 0 <= value < 1):
            raise UsageError("failure probability", f"of {wrong[0]} is {named[wrong[0]]:g}", "give 0 or more, below 1")
        return {name: named[name] for name in sensors}


def _audit(model: AuditedModel, batch: Batch, asked: _Asked, progress: Progress) -> Audit:
    missing, split, failures = asked.missing, asked.split, bool(asked.protocols)
    model.check(batch)
    sensors = tuple(sorted(batch.sensors if model.sensors is None else set(model.sensors) & set(batch.sensors)))
    if not sensors:
        fault = f"has none of the sensors that the model takes: {', '.join(model.sensors or ())}"
        raise BatchError(batch.root / "batch.yaml", fault, "give a batch with one or more of them, by these names")
    probabilities = asked.probabilities(sensors)
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
    run = Run(model, batch, sensors, missing, means, corruption, asked.protocols, asked.severities, len(rows), progress)
    for number, (row, frame, truth) in enumerate(read_labelled(batch, sensors, rows)):
        run.add(number, row, frame.images, truth)
    progress(run.total, run.total)
    scores = run.scores()
    return Audit(scores, missing, run.frames, _record(run, scores, split, reason, probabilities))


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


def _record(
    run: Run, scores: SubsetScores, split: str | None, reason: str, probabilities: dict[str, float]
) -> AuditRecord:
    """Return everything that was found as a document."""
    complete = len(scores.subsets) == len(run.subsets)
    ways: dict[str, dict[str, dict[str, CaseScore]]] = {
        sensor: {NOISE: {}, SILENT: {}} for sensor in (run.sensors if run.corruption else ())
    }
    curves: dict[str, dict[str, dict[str, CaseScore]]] = {sensor: {} for sensor in ways}
    for protocol, sensor, kind in run.broken:
        case = run.case(protocol, sensor, kind)
        if protocol == DEGRADATIONS:
            name, severity = kind.split(" ")
            curves[sensor].setdefault(name, {})[severity] = case
        else:
            ways[sensor][protocol][kind] = case
    full = run.case(SUBSET, *run.sensors)
    intervals = {"full": full.interval, "mean": run.intervals.mean, "worst": run.intervals.worst}
    expected = {f"{p:g}": expected_score(scores.subsets, run.sensors, p) for p in PROBABILITIES} if complete else {}
    if complete and probabilities:
        expected[GIVEN] = expected_score(scores.subsets, run.sensors, probabilities)
    rmm: dict[str, dict[str, CaseScore]] = {}
    for _, share, *subset in run.thinned:
        rmm.setdefault(share, {})[subset_name(subset)] = run.case(RMM, share, *subset)
    for table in rmm.values():
        table[subset_name(run.sensors)] = full
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
        full=full.score,
        mean=scores.mean,
        worst=scores.worst,
        spread=scores.spread,
        expected=expected,
        failure_probability=probabilities,
        intervals={name: ends for name, ends in intervals.items() if name != "full" or full.score is not None},
        confidence=CONFIDENCE,
        units=run.intervals.units,
        drawn=run.intervals.drawn,
        subsets={subset_name(subset): run.case(SUBSET, *subset) for subset in run.subsets},
        per_class=scores.per_class,
        support=scores.support,
        broken={
            name: BrokenSensor(noise=own[NOISE], failures=own[SILENT], degradations=curves[name])
            for name, own in ways.items()
            if own[NOISE] or own[SILENT] or curves[name]
        },
        rmm=rmm,
        seed=_SEED,
    )
