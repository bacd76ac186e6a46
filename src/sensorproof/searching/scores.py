"""Score a model on validation frames, and measure by how much it breaks the limits of promotion."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from sensorproof.documents import promotion as gates
from sensorproof.documents.search import ValidationScores
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.subsets import count_subsets, score_counts
from sensorproof.models import Segmenter
from sensorproof.searching.data import SearchData
from sensorproof.settings import PromotionSettings
from sensorproof.training.loop import choose_device

FIGURES = ("full", "mean", "worst")
_GROUPS = {
    gates.CLASS_LOSS: ("classes", "max_loss_class"),
    gates.SITE_LOSS: ("sites", "max_loss_site"),
    gates.CONDITION_LOSS: ("conditions", "max_loss_condition"),
}
"""{gate: (field of the scores, its limit in the section `promotion`)}."""


def score_validation(
    model: Segmenter, data: SearchData, *, seed: int, fold: int, device: str, batch_size: int, fewest: int
) -> ValidationScores:
    """Score a model with every subset of its sensors on the validation frames of a fold.

    Args:
        model: moves to the device, and is left in evaluation mode.
        data: the fold.
        seed: of the model's training.
        fold: number of the fold.
        device: see `choose_device`.
        batch_size: frames per forward pass.
        fewest: a site or condition with fewer frames has no score of its own.

    Raises:
        SensorproofError: a subset has no frame to score.
    """
    where = choose_device(device)
    model.to(where)
    counts = count_subsets(model, (batch.to(where) for batch in data.ordered("val", batch_size)))
    names = data.meta.class_names
    scores = score_counts(counts, model.sensors, names)
    frames = data.frames.loc[data.rows("val")]

    def means(of_frame: Iterable[str]) -> dict[str, float]:
        return _group_means(counts, np.array([str(value) for value in of_frame]), model.sensors, names, fewest)

    present = {name: [own[name] for own in scores.per_class.values()] for name in names}
    return ValidationScores(
        seed=seed,
        fold=fold,
        full=scores.full,
        mean=scores.mean,
        worst=scores.worst,
        classes={n: fmean(v for v in own if v is not None) for n, own in present.items() if None not in own},
        sites=means(frames.site),
        conditions=means(frames.condition),
    )


def _group_means(
    counts: NDArray[np.uint32], of_frame: NDArray[np.str_], sensors: Iterable[str], classes: Sequence[str], fewest: int
) -> dict[str, float]:
    """Return the mean over the subsets for each group of frames that is large enough and has every subset."""
    means = {}
    for group in np.unique(of_frame):
        rows = of_frame == group
        if rows.sum() < fewest:
            continue
        try:
            means[str(group)] = score_counts(counts[rows], sensors, classes).mean
        except SensorproofError:  # no frame of the group has the sensors of some subset
            continue
    return means


def average(scores: Sequence[ValidationScores], figure: str) -> float:
    """Return the mean of `full`, `mean` or `worst` over seeds and folds."""
    return fmean(float(getattr(each, figure)) for each in scores)


def find_violations(
    scores: Sequence[ValidationScores], reference: Sequence[ValidationScores], limits: PromotionSettings
) -> dict[str, float]:
    """Return by how many points each limit of promotion is broken; 0 or less where it is kept.

    The gates of costs are not among them: no setting that is searched changes what a model costs. Those of silent
    failures are, where the trials were tried with them; the share of false alarms counts in percent.

    Args:
        scores: of a trial, for any number of seeds and folds.
        reference: of the baseline, for the same folds.
        limits: the section `promotion`.
    """
    full, mean, worst = (average(scores, figure) for figure in FIGURES)
    broken = {
        gates.GAIN_BASELINE: limits.min_gain_baseline - (mean - average(reference, "mean")),
        gates.LOSS_FULL: average(reference, "full") - full - limits.max_loss_full,
        gates.WORST_SUBSET: limits.min_worst - worst,
    }
    for gate, (field, limit) in _GROUPS.items():
        ours, theirs = (_average_groups([getattr(each, field) for each in side]) for side in (scores, reference))
        losses = [theirs[name] - ours[name] for name in ours if name in theirs]
        if losses:
            broken[gate] = max(losses) - getattr(limits, limit)
    silent, before = (_average_known([each.silent for each in side]) for side in (scores, reference))
    if silent is not None and before is not None:
        broken[gates.SILENT_LOSS] = before - silent - limits.max_loss_silent
    alarms = _average_known([each.false_alarms for each in scores])
    if alarms is not None:
        broken[gates.FALSE_ALARMS] = 100 * (alarms - limits.max_false_alarms)
    return broken


def _average_known(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None if a value is missing."""
    known = [value for value in values if value is not None]
    return fmean(known) if values and len(known) == len(values) else None


def _average_groups(groups: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each group over the scores that have it."""
    names = {name for own in groups for name in own}
    return {name: fmean(own[name] for own in groups if name in own) for name in sorted(names)}
