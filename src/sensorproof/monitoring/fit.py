"""Fit a monitor on training frames: a few seconds after a training, without a step of it."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.preprocessing import standardize
from sensorproof.models import Segmenter
from sensorproof.models.passes import frames_per_pass
from sensorproof.monitoring.agreement import PairAgreement
from sensorproof.monitoring.measures import ImageMeasures, Pair, match_pairs, measure_frames, predict_alone
from sensorproof.monitoring.monitor import Monitor, MonitorDescription, MonitoredPair, MonitoredSensor
from sensorproof.monitoring.normal_range import NormalRange, upper_limit
from sensorproof.monitoring.stream import FrameEvidence, Stream
from sensorproof.settings import MonitoringSettings

_AT_ONCE = 16
_MOST_FRAMES = 1024
"""More are not looked at: those that are, are spread evenly."""
_FEWEST = 8
"""With fewer pairs of images, nothing is learnt of two sensors."""
_OTHERS = 4
"""So many other frames each frame is paired with, to learn what no agreement looks like."""


def fit_monitor(model: Segmenter, data: PreparedDataset, settings: MonitoringSettings, seed: int = 0) -> Monitor:
    """Fit a monitor for a trained model.

    The ranges of the images come from the training split. How well sensors agree is learnt from training and
    validation split together: on the frames that it was trained on alone, the model's predictions agree too well.

    Args:
        model: trained, on any device; it is left in evaluation mode.
        data: what it was trained on.
        settings: the share of the images of sound sensors that may be left out.
        seed: of the pairs of other frames.
    """
    model.eval()
    false_alarms = settings.false_alarms
    rows = {split: _spread(data.rows(split)) for split in ("train", "val")}
    both = np.sort(np.concatenate(list(rows.values())))
    usual = _mean_maps(model, data, rows["train"])
    measured = _measure(model, data, both, usual)
    in_training = np.isin(both, rows["train"])
    sites = data.frames.loc[both].site.to_numpy(dtype=np.str_)
    sensors = {}
    for name in data.sensors:
        own = in_training & data.present[name][both]
        normal = NormalRange.fit(
            measured.statistics[name][own], measured.empty[name][own], sites[own], false_alarms / 2
        )
        sensors[name] = MonitoredSensor(kind=data.meta.sensors[name].kind, normal=normal)
    sequences = _sequences(data, both)
    agreements = _fit_agreements(measured, data, both, sequences, seed)
    threshold = _fit_threshold(measured, data, both, sequences, agreements, false_alarms / 2)
    pairs = tuple(MonitoredPair(sensors=pair, agreement=agreement) for pair, agreement in agreements.items())
    return Monitor(
        MonitorDescription(
            false_alarms=false_alarms, frames=len(both), sensors=sensors, pairs=pairs, mismatch_threshold=threshold
        ),
        usual,
    )


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most `_MOST_FRAMES` of the rows, in runs of consecutive ones, so that streams stay streams."""
    if len(rows) <= _MOST_FRAMES:
        return rows
    runs = np.array_split(rows, max(1, len(rows) // 16))
    chosen = np.linspace(0, len(runs) - 1, _MOST_FRAMES // 16).round().astype(int)
    return np.concatenate([runs[index] for index in chosen])


def _predictions(model: Segmenter, data: PreparedDataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Return the model's maps of each sensor alone, of a few frames."""
    device = next(model.parameters()).device
    inputs = {n: standardize(data.images[n][rows], data.meta.sensors[n]).to(device) for n in data.sensors}
    with torch.inference_mode():
        return predict_alone(model, model.encode(inputs))


def _chunks(data: PreparedDataset, rows: NDArray[np.int64]) -> Sequence[NDArray[np.int64]]:
    at_once = frames_per_pass(data.meta.size, _AT_ONCE)
    return [rows[start : start + at_once] for start in range(0, len(rows), at_once)]


def _mean_maps(model: Segmenter, data: PreparedDataset, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
    """Return the mean of each sensor's maps, over the frames that have it."""
    sums: dict[str, NDArray[np.float64]] = {}
    counts = dict.fromkeys(data.sensors, 0)
    for chunk in _chunks(data, rows):
        for name, maps in _predictions(model, data, chunk).items():
            here = data.present[name][chunk]
            sums[name] = sums.get(name, 0.0) + maps[here].sum(0, dtype=np.float64)
            counts[name] += int(here.sum())
    return {name: (total / max(counts[name], 1)).astype(np.float32) for name, total in sums.items()}


def _measure(
    model: Segmenter, data: PreparedDataset, rows: NDArray[np.int64], usual: dict[str, NDArray[np.float32]]
) -> ImageMeasures:
    """Measure the images of all rows, in their order."""
    kinds = {name: sensor.kind for name, sensor in data.meta.sensors.items()}
    parts = [
        measure_frames({n: data.images[n][c] for n in data.sensors}, kinds, _predictions(model, data, c), usual)
        for c in _chunks(data, rows)
    ]
    return ImageMeasures(
        statistics={n: np.concatenate([p.statistics[n] for p in parts]) for n in data.sensors},
        empty={n: np.concatenate([p.empty[n] for p in parts]) for n in data.sensors},
        digests={n: [digest for p in parts for digest in p.digests[n]] for n in data.sensors},
        edges={n: np.concatenate([p.edges[n] for p in parts]) for n in data.sensors},
        maps={n: np.concatenate([p.maps[n] for p in parts]) for n in data.sensors},
    )


def _sequences(data: PreparedDataset, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Name the sequence of each row."""
    frames = data.frames.loc[rows]
    return np.array([f"{b}/{s}/{q}" for b, s, q in zip(frames.batch, frames.site, frames.sequence, strict=True)])


def _fit_agreements(
    measured: ImageMeasures,
    data: PreparedDataset,
    rows: NDArray[np.int64],
    sequences: NDArray[np.str_],
    seed: int,
) -> dict[Pair, PairAgreement]:
    """Learn for each pair of sensors what a match looks like, and what none."""
    rng = np.random.default_rng(seed)
    same = match_pairs(measured.edges, measured.maps)
    agreements = {}
    others = [_draw_others(sequences, rng) for _ in range(_OTHERS)]
    for a, b in combinations(data.sensors, 2):
        here = data.present[a][rows] & data.present[b][rows]
        unlike = []
        for order in others:
            edges = {a: measured.edges[a], b: measured.edges[b][order]}
            maps = {a: measured.maps[a], b: measured.maps[b][order]}
            unlike.append(match_pairs(edges, maps)[a, b][here & here[order] & (order != np.arange(len(order)))])
        agreements[a, b] = fit_agreement(same[a, b][here], np.concatenate(unlike))
    return agreements


def fit_agreement(same: NDArray[np.float64], other: NDArray[np.float64]) -> PairAgreement:
    """Learn from measures (N, 2) of pairs of images that show the same scene, and of others.

    A measure that does not rise with agreement is left out. A pair of sensors that no measure can tell apart gets
    weights near 0, and so has no say.
    """
    measures = [0, 1]
    truth = np.r_[np.ones(len(same)), np.zeros(len(other))]
    while measures and min(len(same), len(other)) >= _FEWEST:
        model = LogisticRegression(class_weight="balanced").fit(np.r_[same, other][:, measures], truth)
        weights = dict(zip(measures, map(float, model.coef_[0]), strict=True))
        if min(weights.values()) >= 0:
            constant = float(model.intercept_[0])
            return PairAgreement(edges=weights.get(0, 0.0), predictions=weights.get(1, 0.0), constant=constant)
        measures.remove(min(weights, key=lambda measure: weights[measure]))
    return PairAgreement(edges=0.0, predictions=0.0, constant=0.0)


def _draw_others(sequences: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return for each frame one of another sequence; of any other frame, where there is one sequence only."""
    everywhere = np.arange(len(sequences))
    order = rng.permutation(len(sequences))
    for place in everywhere:
        if sequences[order[place]] == sequences[place]:
            choices = np.flatnonzero(sequences != sequences[place])
            choices = choices if len(choices) else everywhere[everywhere != place]
            order[place] = rng.choice(choices) if len(choices) else place
    return order


def _fit_threshold(
    measured: ImageMeasures,
    data: PreparedDataset,
    rows: NDArray[np.int64],
    sequences: NDArray[np.str_],
    agreements: dict[Pair, PairAgreement],
    rate: float,
) -> float:
    """Return the evidence that is reached against a sensor of a sound frame with probability `rate`."""
    odds = {
        pair: agreements[pair].log_odds(values) for pair, values in match_pairs(measured.edges, measured.maps).items()
    }
    most, stream, last = [], Stream(np.inf), ""
    for place in range(len(rows)):
        if sequences[place] != last:
            stream, last = Stream(np.inf), sequences[place]
        here = [name for name in data.sensors if data.present[name][rows[place]]]
        pairs = {pair: float(v[place]) for pair, v in odds.items() if pair[0] in here and pair[1] in here}
        stream.judge(FrameEvidence(dict.fromkeys(here, 0.0), {}, pairs))
        if len(here) > 1:
            most.append(stream.evidence_against(here))
    reached = np.array([value for value in most if np.isfinite(value)])
    # One alarm a frame at most, of as many images as there are sensors.
    floor = float(np.log(1 / rate)) / 2
    return max(floor, upper_limit(reached, min(0.05, rate * len(data.sensors)))) if len(reached) else floor
