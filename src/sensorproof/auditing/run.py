"""Put every frame through a model in all cases, and count the pixels."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sensorproof.auditing.corruption import RMM, Corruption
from sensorproof.auditing.frames import Statistics
from sensorproof.auditing.intervals import Intervals, draw_intervals
from sensorproof.auditing.missing import fill_missing
from sensorproof.auditing.models import AuditedModel, Images
from sensorproof.auditing.result import Missing
from sensorproof.data.batch import Batch
from sensorproof.documents.audit import CaseScore
from sensorproof.errors import ModelError
from sensorproof.evaluation.label_scores import Matrix, Subset, label_matrix, matrix_iou, score_matrices
from sensorproof.evaluation.metrics import mean_of_classes
from sensorproof.evaluation.protocols import MISSING_SHARES
from sensorproof.evaluation.subsets import SubsetScores, all_subsets

Progress = Callable[[int, int], None]
"""Called with the number of passes that are done, and of all."""
SUBSET = "subset"
Case = tuple[str, ...]
"""(SUBSET, sensor, …), or (protocol, sensor, kind) as `Corruption.kinds` has them."""
Outcome = NDArray[np.int64] | ModelError


@dataclass
class Run:
    """Pixel counts of every case, added up frame by frame."""

    model: AuditedModel
    batch: Batch
    sensors: Subset
    missing: Missing
    means: Mapping[str, Statistics]
    corruption: Corruption | None
    protocols: Collection[str]
    severities: Sequence[int]
    rows: int
    progress: Progress
    frames: int = 0
    failed: dict[Case, ModelError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = np.array([described.id for described in self.batch.info.classes])
        self.subsets = all_subsets(self.sensors)
        self.broken: list[Case] = [
            (protocol, sensor, kind)
            for sensor in (self.sensors if self.corruption else ())
            for protocol, kind in (
                self.corruption.kinds(sensor, self.protocols, self.severities) if self.corruption else ()
            )
        ]
        self.thinned: list[Case] = [
            (RMM, f"{share:g}", *subset)
            for share in (MISSING_SHARES if RMM in self.protocols else ())
            for subset in self.subsets[:-1]
        ]
        cases = [(SUBSET, *subset) for subset in self.subsets] + self.broken + self.thinned
        shape = len(self.ids), len(self.ids) + 1
        self.counts: dict[Case, Matrix] = {case: np.zeros(shape, np.int64) for case in cases}
        self.by_frame: dict[Case, list[Matrix]] = {case: [] for case in cases}
        self.scored: list[int] = []
        self.total = len(cases) * self.rows

    def add(self, number: int, row: int, images: Images, truth: NDArray[np.uint8]) -> None:
        """Count one frame in all cases, less those that have failed before.

        Args:
            number: of the frame.
            row: of the frame in the batch.
            images: its sensors.
            truth: (H, W) places in `classes`, IGNORE where none.

        Raises:
            ModelError: the model has no answer for any subset.
        """
        self.frames += 1
        self.scored.append(row)
        filled = self.missing != "drop"
        fill = fill_missing(images, self.batch, self.sensors, self.means, truth.shape) if filled else {}
        done = number * len(self.counts)
        answers: dict[Subset, Outcome] = {}

        def answer(subset: Subset) -> Outcome:
            if subset not in answers:
                given = {**fill, **{name: images[name] for name in subset}}
                answers[subset] = self.model.places(given, self.ids, truth.shape)
            return answers[subset]

        for subset in self.subsets:
            kept = tuple(name for name in subset if name in images)
            if kept and (SUBSET, *subset) not in self.failed:
                self._count((SUBSET, *subset), answer(kept), truth)
            self.progress(done := done + 1, self.total)
        if all((SUBSET, *subset) in self.failed for subset in self.subsets):
            raise self.failed[SUBSET, *self.sensors]
        whole = tuple(sorted(images))
        for case, broken in self._broken(row, images):
            outcome = answer(whole) if broken is None else self._ask({**fill, **images, **broken}, truth)
            self._count(case, outcome, truth)
            self.progress(done := done + 1, self.total)
        for case, thinned in self._thinned(row, images):
            self._count(case, self._ask({**fill, **images, **thinned}, truth), truth)
            self.progress(done := done + 1, self.total)

    def _thinned(self, row: int, images: Images) -> Iterator[tuple[Case, Images]]:
        """Yield each case of RMM that has not failed, with the images of the sensors that miss values."""
        spoiled: dict[tuple[str, str], NDArray[np.float32]] = {}
        for case in self.thinned:
            if case in self.failed or self.corruption is None:
                continue
            share, subset = case[1], case[2:]
            missing = [name for name in images if name not in subset]
            for name in missing:
                if (name, share) not in spoiled:
                    spoiled[name, share] = self.corruption.thin(name, float(share), row, images[name])
            yield case, {name: spoiled[name, share] for name in missing}

    def _broken(self, row: int, images: Images) -> Iterator[tuple[Case, Images | None]]:
        """Yield each case that has not failed with its broken image; None where the frame lacks the sensor."""
        for case in self.broken:
            protocol, sensor, kind = case
            if case in self.failed or self.corruption is None:
                continue
            lacks = sensor not in images
            yield case, None if lacks else {sensor: self.corruption.apply(protocol, kind, sensor, row, images[sensor])}

    def _ask(self, images: Images, truth: NDArray[np.uint8]) -> Outcome:
        return self.model.places(images, self.ids, truth.shape)

    def _count(self, case: Case, outcome: Outcome, truth: NDArray[np.uint8]) -> None:
        if isinstance(outcome, ModelError):
            self.failed[case] = outcome
        else:
            matrix = label_matrix(outcome, truth, len(self.ids))
            self.counts[case] += matrix
            own = self.by_frame[case]
            empty = np.zeros((self.frames - 1 - len(own), len(self.ids), 3), np.int64)
            square = matrix[:, :-1]
            own.extend([*empty, np.stack([square.diagonal(), matrix.sum(1), square.sum(0)], axis=-1)])

    def scores(self) -> SubsetScores:
        """Return the scores of the subsets that have not failed."""
        counts = {s: self.counts[SUBSET, *s] for s in self.subsets if (SUBSET, *s) not in self.failed}
        return score_matrices(counts, [described.name for described in self.batch.info.classes], self.batch.root)

    def case(self, *case: str) -> CaseScore:
        """Return the score of a case, or why it has none."""
        if error := self.failed.get(case):
            return CaseScore(score=None, reason=error.fault)
        return CaseScore(score=mean_of_classes(matrix_iou(self.counts[case])), interval=self.intervals.cases[case])

    @cached_property
    def intervals(self) -> Intervals:
        """The intervals of all cases that have not failed, over the frames."""
        table = self.batch.frames.iloc[self.scored]
        sequences = [f"{site}/{name}" for site, name in zip(table.site, table.sequence, strict=True)]
        empty = np.zeros((len(self.ids), 3), np.int64)
        counts = {
            case: np.stack([*own, *[empty] * (self.frames - len(own))])
            for case, own in self.by_frame.items()
            if case not in self.failed
        }
        return draw_intervals(counts, [case for case in counts if case[0] == SUBSET], sequences)
