"""Silent failures: a sensor is broken in every frame and not declared absent. What does the monitor save?

The protocol is our own. Each sensor is broken in turn, in each way, and the frames are given in the order of their
streams. Scores stand beside declared absence, beside the model without a monitor, and beside sound sensors. Sensors
are encoded once, and a broken one once for each failure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.documents.silent import FailureScores, FalseAlarms, SensorFailures, SilentScores
from sensorproof.evaluation.cases import CaseCounts
from sensorproof.evaluation.failures import Context, Failure
from sensorproof.evaluation.frame_source import FrameSource, group_streams
from sensorproof.models.passes import frames_per_pass
from sensorproof.models.segmenter import Features
from sensorproof.models.windows import AnySegmenter, WindowedSegmenter
from sensorproof.monitoring.measures import ImageMeasures, Prepared
from sensorproof.monitoring.monitor import Monitor
from sensorproof.monitoring.stream import Stream, Verdict

_AT_ONCE = 16
_UNNAMED = "(none)"
_SWAPS = 100
"""Rounds in which frames that got an image of their own sequence are swapped with others."""
Verdicts = list[dict[str, Verdict]]
Present = dict[str, Tensor]


def score_silent_failures(
    model: AnySegmenter, monitor: Monitor, frames: FrameSource, failures: Mapping[str, Failure], seed: int = 0
) -> SilentScores:
    """Score a model with each sensor broken in each way, with and without its monitor.

    Args:
        model: on any device; it is left in evaluation mode.
        monitor: the model's.
        frames: labelled frames.
        failures: {name: failure}.
        seed: of the failures.
    """
    evaluation = _Evaluation(model, monitor, frames, failures, seed)
    for rows in evaluation.passes():
        evaluation.add(rows)
    return evaluation.scores()


@dataclass
class _Evaluation:
    """Adds up every case pass by pass; a case is named by its sensor and failure."""

    model: AnySegmenter
    monitor: Monitor
    frames: FrameSource
    failures: Mapping[str, Failure]
    seed: int
    noticed: dict[tuple[str, str], int] = field(default_factory=dict)
    alarms: dict[str, list[int]] = field(default_factory=dict)
    streams: dict[tuple[str, ...], tuple[str, Stream]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sequences = self.frames.sequences
        self.conditions = self.frames.conditions
        self.sensors = sorted(self.frames.sensors)
        self.cases = CaseCounts(self.model, self.frames.sensors)
        self.device = self.cases.device
        self.others = _other_rows(self.sequences, np.random.default_rng([self.seed, 1]))
        self.starts = group_streams(self.sequences)

    def passes(self) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of each pass."""
        every = np.arange(len(self.sequences))
        at_once = frames_per_pass(self.frames.size, _AT_ONCE)
        yield from (every[start : start + at_once] for start in range(0, len(every), at_once))

    @torch.inference_mode()
    def add(self, rows: NDArray[np.int64]) -> None:
        """Count one pass in all cases."""
        pixels = {name: self.frames.images(name, rows) for name in self.sensors}
        here = {name: self.frames.present(name)[rows] for name in self.sensors}
        target = torch.from_numpy(self.frames.labels(rows).astype(np.int64)).to(self.device)
        features = self.cases.encode(pixels)
        measures = self._observe(pixels, features)
        present = {name: torch.from_numpy(mask).to(self.device) for name, mask in here.items()}
        self.cases.add(("full",), features, present, target)
        verdicts = self._judge(("full",), rows, measures, here)
        self.cases.add(("monitored",), features, _weigh(present, verdicts), target)
        self._note_alarms(rows, verdicts)
        for name in self.sensors:
            absent = {other: mask for other, mask in present.items() if other != name}
            self.cases.add(("absent", name), {other: features[other] for other in absent}, absent, target)
            context = self._context(name, rows)
            for kind, failure in self.failures.items():
                stored = pixels[name].dtype
                broken = {name: failure(pixels[name].astype(np.float32), context).astype(stored)}
                broken[name][~here[name]] = np.nan
                own = self.cases.encode(broken)
                self.cases.add(("kept", name, kind), {**features, **own}, present, target)
                seen = measures.replace(self._observe(broken, own))
                verdicts = self._judge((name, kind), rows, seen, here)
                self.cases.add(("monitored", name, kind), {**features, **own}, _weigh(present, verdicts), target)
                found = sum(each[name].failing for each in verdicts if name in each)
                self.noticed[name, kind] = self.noticed.get((name, kind), 0) + found

    def _observe(self, pixels: Prepared, features: Features) -> ImageMeasures:
        """Measure images for the monitor, which is shown whole images, as it was fitted and as it serves."""
        model = self.model
        if isinstance(model, WindowedSegmenter):
            model = model.whole
            features = model.encode({name: self.cases.standardize(name, images) for name, images in pixels.items()})
        return self.monitor.observe(pixels, features, model)

    def _context(self, name: str, rows: NDArray[np.int64]) -> Context:
        """Return the other images that failures of a sensor show; a sensor that is absent there is not shown."""
        before = np.maximum(rows - 1, self.starts[rows])
        present = self.frames.present(name)
        chosen = [np.where(present[other], other, rows) for other in (self.starts[rows], before, self.others[rows])]
        first, last, other = (self.frames.images(name, each).astype(np.float32) for each in chosen)
        rng = np.random.default_rng([self.seed, 2, self.sensors.index(name), int(rows[0])])
        return Context(first, last, other, rng)

    def _judge(
        self,
        case: tuple[str, ...],
        rows: NDArray[np.int64],
        measures: ImageMeasures,
        here: dict[str, NDArray[np.bool_]],
    ) -> Verdicts:
        """Judge the frames of a pass, each stream going on where the pass before left it."""
        measured = self.monitor.weigh(measures, here)
        verdicts = []
        for place, row in enumerate(rows):
            sequence = str(self.sequences[row])
            if self.streams.get(case, ("", None))[0] != sequence:
                self.streams[case] = sequence, self.monitor.open_stream()
            verdicts.append(self.monitor.judge(measured, place, self.streams[case][1]))
        return verdicts

    def _note_alarms(self, rows: NDArray[np.int64], verdicts: Verdicts) -> None:
        for row, each in zip(rows, verdicts, strict=True):
            tally = self.alarms.setdefault(str(self.conditions[row]) or _UNNAMED, [0, 0])
            tally[0] += sum(verdict.failing for verdict in each.values())
            tally[1] += len(each)

    def scores(self) -> SilentScores:
        """Return the scores of all cases."""
        score = self.cases.score
        sensors = {}
        for name in self.sensors:
            images = max(1, int(self.frames.present(name).sum()))
            failures = {
                kind: FailureScores(
                    kept=score("kept", name, kind),
                    monitored=score("monitored", name, kind),
                    noticed=self.noticed[name, kind] / images,
                )
                for kind in self.failures
            }
            sensors[name] = SensorFailures(absent=score("absent", name), failures=failures)
        alarms = {condition: FalseAlarms(alarms=a, images=n) for condition, (a, n) in sorted(self.alarms.items())}
        return SilentScores(full=score("full"), monitored=score("monitored"), conditions=alarms, sensors=sensors)


def _weigh(present: Present, verdicts: Verdicts) -> Present:
    """Return the presence of sensors less those that are failing, place by place where only a part is lost."""
    weights = {}
    for name, mask in present.items():
        own = [verdict.get(name) for verdict in verdicts]
        parts = [each.usable for each in own if each is not None and each.usable is not None]
        believed = torch.tensor([each is None or not each.failing or each.usable is not None for each in own])
        weights[name] = mask & believed.to(mask.device)
        if parts:
            places = torch.ones((len(own), *parts[0].shape), device=mask.device)
            for row, each in enumerate(own):
                if each is not None and each.usable is not None:
                    places[row] = torch.from_numpy(each.usable).to(places)
            weights[name] = places * weights[name][:, None, None]
    return weights


def _other_rows(sequences: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return for each frame one of another sequence, or any other where there is one sequence; each about once."""
    everywhere = np.arange(len(sequences))
    order = rng.permutation(len(sequences))
    for _ in range(_SWAPS):
        wrong = np.flatnonzero((sequences[order] == sequences) if len(set(sequences)) > 1 else order == everywhere)
        if not len(wrong):
            break
        partners = rng.integers(0, len(order), len(wrong))
        for place, partner in zip(wrong, partners, strict=True):
            order[[place, partner]] = order[[partner, place]]
    return order
