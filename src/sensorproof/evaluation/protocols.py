"""The field's protocols on one model: EMM, RMM and NM (arXiv 2503.18445), and degradations by severity.

Each sensor is encoded once sound, once for each way to spoil it, and never once for each subset: all that the subsets
need is decoded from these features. A missing sensor is zero after normalisation, so its features are those of one
image of zeros, whatever the frame. A frozen or delayed sensor shows images that are encoded already.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.preprocessing import standardize, standardize_frames
from sensorproof.documents.protocols import NoiseTable, ProtocolScores, SubsetTable
from sensorproof.evaluation.cases import CaseCounts
from sensorproof.evaluation.degradations import STREAM, degradation_names, degrade, earlier_place
from sensorproof.evaluation.expected import expected_scores
from sensorproof.evaluation.frame_source import FrameSource, group_streams
from sensorproof.evaluation.noisy_modality import LEVELS, add_noise
from sensorproof.evaluation.subsets import all_subsets, subset_name
from sensorproof.models.passes import frames_per_pass
from sensorproof.models.segmenter import Features
from sensorproof.models.windows import AnySegmenter
from sensorproof.settings.evaluation import Protocol

MISSING_SHARES: Final = (0.25, 0.5, 0.75)
"""r of RMM: the share of a missing sensor's values that are set to zero."""
_AT_ONCE = 32
_LOOK_BACK = max(frames for severities in STREAM.values() for frames in severities)
_NOISE, _ZEROS, _DEGRADED = range(3)
"""Streams of random numbers."""


def score_protocols(
    model: AnySegmenter,
    frames: FrameSource,
    subsets: Mapping[str, float],
    protocols: Sequence[Protocol],
    failure_probability: Mapping[str, float],
    severities: Sequence[int],
    seed: int = 0,
) -> ProtocolScores[float]:
    """Score a model under protocols.

    Args:
        model: on any device; it is left in evaluation mode.
        frames: labelled frames, those of a stream in order.
        subsets: {subset: mIoU} with missing sensors left out; {} leaves `expected` of the result empty.
        protocols: those to try.
        failure_probability: {sensor: p} of the model's sensors.
        severities: of the degradations.
        seed: of all noise and degradations.
    """
    runs = _Protocols(CaseCounts(model, frames.sensors), frames, protocols, severities, seed)
    runs.count()
    return runs.scores(subsets, failure_probability)


@dataclass
class _Protocols:
    cases: CaseCounts
    frames: FrameSource
    protocols: Sequence[Protocol]
    severities: Sequence[int]
    seed: int

    def __post_init__(self) -> None:
        self.sensors = sorted(self.frames.sensors)
        self.subsets = all_subsets(self.sensors)
        self.starts = group_streams(self.frames.sequences)
        self.has = {name: self.frames.present(name) for name in self.sensors}
        self.recent: Features = {}
        self.zeros: Features = {}

    @torch.inference_mode()
    def count(self) -> None:
        """Count all frames in all cases."""
        every = np.arange(len(self.starts))
        at_once = frames_per_pass(self.frames.size, _AT_ONCE)
        for start in range(0, len(every), at_once):
            rows = every[start : start + at_once]
            pixels = {name: self.frames.images(name, rows) for name in self.sensors}
            target = torch.from_numpy(self.frames.labels(rows).astype(np.int64)).to(self.cases.device)
            inputs = {name: self.cases.standardize(name, images) for name, images in pixels.items()}
            sound = self.cases.model.encode(inputs)
            if "emm" in self.protocols:
                self._count_missing("emm", sound, self._zero_features(inputs), target)
            if "rmm" in self.protocols:
                for share in MISSING_SHARES:
                    thinned = {n: self._set_to_zero(n, share, rows, x) for n, x in inputs.items()}
                    self._count_missing(f"rmm {share:g}", sound, self.cases.model.encode(thinned), target)
            if "nm" in self.protocols:
                self._count_noise(rows, pixels, inputs, sound, target)
            if "degradations" in self.protocols:
                self.recent = {name: _append(self.recent.get(name), stages) for name, stages in sound.items()}
                self._count_degradations(rows, pixels, sound, target)
                self.recent = {name: [stage[-_LOOK_BACK:] for stage in own] for name, own in self.recent.items()}

    def _count_missing(self, case: str, sound: Features, missing: Features, target: Tensor) -> None:
        """Count every subset, the branches of missing sensors running on what stands for them."""
        everywhere = torch.ones(len(target), dtype=torch.bool, device=target.device)
        present = dict.fromkeys(self.sensors, everywhere)
        for subset in self.subsets:
            features = {name: (sound if name in subset else missing)[name] for name in self.sensors}
            self.cases.add((case, subset_name(subset)), features, present, target)

    def _zero_features(self, inputs: Mapping[str, Tensor]) -> Features:
        """Return the features of images of zeros, which are the same in every frame."""
        if not self.zeros:
            self.zeros = self.cases.model.encode({name: torch.zeros_like(x[:1]) for name, x in inputs.items()})
        number = len(next(iter(inputs.values())))
        return {n: [stage.expand(number, *stage.shape[1:]) for stage in stages] for n, stages in self.zeros.items()}

    def _set_to_zero(self, name: str, share: float, rows: NDArray[np.int64], inputs: Tensor) -> Tensor:
        draws = np.stack([self._rng(_ZEROS, name, row).random(inputs.shape[1:], np.float32) for row in rows])
        return inputs * (torch.from_numpy(draws).to(inputs) >= share)

    def _count_noise(
        self,
        rows: NDArray[np.int64],
        pixels: Mapping[str, NDArray[np.floating]],
        inputs: Mapping[str, Tensor],
        sound: Features,
        target: Tensor,
    ) -> None:
        present = self._present(rows)
        clean = {name: self._without_frame_statistics(name, pixels[name], x) for name, x in inputs.items()}
        for level in LEVELS:
            noisy = self.cases.model.encode(
                {n: self._add_noise(n, level, rows, x, pixels[n]) for n, x in clean.items()}
            )
            self.cases.add(("nm", level), noisy, present, target)
            for name in self.sensors:
                self.cases.add(("nm", level, name), {**sound, name: noisy[name]}, present, target)

    def _without_frame_statistics(self, name: str, pixels: NDArray[np.floating], inputs: Tensor) -> Tensor:
        """Return images standardised by the data set, in whose deviations noise is measured for every model."""
        sensor = self.frames.sensors[name]
        if sensor.standardize != "frame":
            return inputs
        return standardize(pixels, sensor.model_copy(update={"standardize": "dataset"})).to(inputs)

    def _add_noise(
        self, name: str, level: str, rows: NDArray[np.int64], clean: Tensor, pixels: NDArray[np.floating]
    ) -> Tensor:
        """Return noisy images as the model sees them: the sensor adds the noise, before a frame's own statistics."""
        images = clean.cpu().numpy()
        added = [add_noise(image, level, self._rng(_NOISE, name, row)) for image, row in zip(images, rows, strict=True)]
        noisy = torch.from_numpy(np.stack(added)).to(clean)
        if self.frames.sensors[name].standardize != "frame":
            return noisy
        return standardize_frames(noisy, torch.from_numpy(np.isfinite(pixels)).to(noisy.device))

    def _count_degradations(
        self,
        rows: NDArray[np.int64],
        pixels: Mapping[str, NDArray[np.floating]],
        sound: Features,
        target: Tensor,
    ) -> None:
        present = self._present(rows)
        for name, way, severity in self._ways():
            if way in STREAM:
                spoiled = {name: self._show_earlier(name, way, severity, rows)}
            else:
                spoiled = self.cases.encode({name: self._degrade(name, way, severity, rows, pixels[name])})
            case = ("degradations", name, way, str(severity))
            self.cases.add(case, {**sound, **spoiled}, present, target)

    def _show_earlier(self, name: str, way: str, severity: int, rows: NDArray[np.int64]) -> list[Tensor]:
        """Return the features of earlier images, which are encoded already; its own where a frame has no such image."""
        shown = self.starts[rows] + earlier_place(way, severity, rows - self.starts[rows])
        shown = np.where(self.has[name][shown] & self.has[name][rows], shown, rows)
        first = rows[-1] + 1 - len(self.recent[name][0])
        places = torch.from_numpy(shown - first).to(self.cases.device)
        return [stage[places] for stage in self.recent[name]]

    def _ways(self) -> Iterator[tuple[str, str, int]]:
        for name in self.sensors:
            for way in degradation_names(self.frames.sensors[name].kind):
                yield from ((name, way, severity) for severity in self.severities)

    def _degrade(
        self, name: str, way: str, severity: int, rows: NDArray[np.int64], pixels: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Return prepared images (B, C, H, W), degraded; of frames that lack the sensor they stay empty."""
        kind = self.frames.sensors[name].kind
        images = [
            degrade(kind, way, image.astype(np.float32), severity, self._rng(_DEGRADED, name, row, way))
            for image, row in zip(pixels, rows, strict=True)
        ]
        return np.stack(images).astype(pixels.dtype)

    def _present(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        return {name: torch.from_numpy(mask[rows]).to(self.cases.device) for name, mask in self.has.items()}

    def _rng(self, stream: int, name: str, row: int, way: str = "") -> np.random.Generator:
        """Return the random numbers of one image, which no level or severity and no other case changes."""
        return np.random.default_rng([self.seed, stream, self.sensors.index(name), int(row), *way.encode()])

    def scores(self, subsets: Mapping[str, float], failure_probability: Mapping[str, float]) -> ProtocolScores[float]:
        """Return the scores of all cases."""

        def table(case: str) -> SubsetTable[float]:
            scores = {name: self.cases.score(case, name) for name in map(subset_name, self.subsets)}
            return SubsetTable[float](
                mean=float(np.mean(list(scores.values()))),
                worst=min(scores.values()),
                expected=expected_scores(scores, self.sensors, failure_probability),
                subsets=scores,
            )

        def noise(level: str) -> NoiseTable[float]:
            alone = {name: self.cases.score("nm", level, name) for name in self.sensors}
            return NoiseTable[float](all=self.cases.score("nm", level), sensors=alone)

        degraded: dict[str, dict[str, dict[str, float]]] = {}
        if "degradations" in self.protocols:
            for name, way, severity in self._ways():
                score = self.cases.score("degradations", name, way, str(severity))
                degraded.setdefault(name, {}).setdefault(way, {})[str(severity)] = score
        return ProtocolScores[float](
            failure_probability=dict(failure_probability),
            expected=expected_scores(subsets, self.sensors, failure_probability) if subsets else {},
            emm=table("emm") if "emm" in self.protocols else None,
            rmm={f"{r:g}": table(f"rmm {r:g}") for r in MISSING_SHARES} if "rmm" in self.protocols else None,
            nm={level: noise(level) for level in LEVELS} if "nm" in self.protocols else None,
            degradations=degraded or None,
            seed=self.seed,
        )


def _append(before: list[Tensor] | None, stages: list[Tensor]) -> list[Tensor]:
    """Put the features of a pass after those of the frames before it."""
    return stages if before is None else [torch.cat(pair) for pair in zip(before, stages, strict=True)]
