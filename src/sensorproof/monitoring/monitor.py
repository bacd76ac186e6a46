"""The monitor: which sensors of a frame are failing, though nobody says so.

It is fitted on training frames (`fit.fit_monitor`), costs no parameter of the network, lies beside the model's weights,
and judges frames as the model sees them, after the same preparation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.hashing import hash_json
from sensorproof.models import ModelDescription, Segmenter
from sensorproof.models.segmenter import Features
from sensorproof.models.storage import load_description
from sensorproof.monitoring.agreement import PairAgreement
from sensorproof.monitoring.files import FILES
from sensorproof.monitoring.measures import (
    ImageMeasures,
    Pair,
    Prepared,
    match_pairs,
    measure_frames,
    predict_alone,
)
from sensorproof.monitoring.normal_range import PARTLY_LOST, NormalRange
from sensorproof.monitoring.registration import find_peak, prediction_maps
from sensorproof.monitoring.stream import MISMATCH, UNUSUAL, FrameEvidence, Stream, Verdict

MonitorMode = Literal["auto", "report", "off"]
"""Leave failing sensors out and say so; say so alone; or do not look."""
_FIX = "give a folder that `dvc repro` or the registry wrote"
_CLEAR_PEAK = 10.0
"""A peak of the correlation this many standard deviations high is a match at another place; chance makes up to ten."""
_SHIFTED = 0.03
"""Displacements above this share of the image's size are named."""


class MonitoredSensor(BaseModel):
    """What the monitor knows of one sensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    normal: NormalRange


class MonitoredPair(BaseModel):
    """What it knows of two sensors, the names sorted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensors: Pair
    agreement: PairAgreement


class MonitorDescription(BaseModel):
    """The content of monitor.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_alarms: float
    """Share of the images of sound sensors that may be left out."""
    frames: int
    """Frames that it was fitted on."""
    sensors: Annotated[dict[str, MonitoredSensor], Field(min_length=1)]
    pairs: tuple[MonitoredPair, ...]
    mismatch_threshold: float
    """Log odds of evidence against a sensor, summed over its pairs and the last frames."""


@dataclass(frozen=True)
class Pass:
    """The evidence of the frames of one pass, and the images' measures, by which a verdict is put into words."""

    evidence: list[FrameEvidence]
    measures: ImageMeasures


@dataclass(frozen=True)
class Monitor:
    """See the module."""

    description: MonitorDescription
    usual_maps: dict[str, NDArray[np.float32]]
    """{sensor: the mean of its prediction maps in training (K, h, w)}."""

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of all that the monitor knows."""
        maps = {name: hashlib.sha256(maps.tobytes()).hexdigest() for name, maps in sorted(self.usual_maps.items())}
        return hash_json([self.description.model_dump(mode="json"), maps])

    def open_stream(self) -> Stream:
        """Return a stream to judge frames in; one for each stream of the sensors."""
        return Stream(self.description.mismatch_threshold)

    def measure(
        self, pixels: Prepared, present: Mapping[str, NDArray[np.bool_]], features: Features, model: Segmenter
    ) -> Pass:
        """Measure the frames of a pass.

        Args:
            pixels: {sensor: (B, C, H, W)}, prepared.
            present: {sensor: (B,)}, which frames have it.
            features: the model's, of the same frames.
            model: the network.
        """
        return self.weigh(self.observe(pixels, features, model), present)

    def observe(self, pixels: Prepared, features: Features, model: Segmenter) -> ImageMeasures:
        """Measure the images of some sensors; see `measure`."""
        maps = predict_alone(model, {name: features[name] for name in pixels})
        kinds = {name: self.description.sensors[name].kind for name in pixels}
        return measure_frames(pixels, kinds, maps, self.usual_maps)

    def weigh(self, measures: ImageMeasures, present: Mapping[str, NDArray[np.bool_]]) -> Pass:
        """Turn measures into evidence.

        Args:
            measures: of the images of a pass.
            present: {sensor: (B,)}, which frames have it.
        """
        unusual = {
            name: self.description.sensors[name].normal.score(values, measures.empty[name])
            for name, values in measures.statistics.items()
        }
        matches = match_pairs(measures.edges, measures.maps)
        known = [pair for pair in self.description.pairs if pair.sensors in matches]
        odds = {pair.sensors: pair.agreement.log_odds(matches[pair.sensors]) for pair in known}
        frames = len(next(iter(present.values()), ()))
        evidence = []
        for row in range(frames):
            here = [name for name in present if present[name][row]]
            evidence.append(
                FrameEvidence(
                    {name: float(unusual[name][row]) for name in here},
                    {name: measures.digests[name][row] for name in here},
                    {pair: float(values[row]) for pair, values in odds.items() if pair[0] in here and pair[1] in here},
                )
            )
        return Pass(evidence, measures)

    def judge(self, measured: Pass, row: int, stream: Stream) -> dict[str, Verdict]:
        """Judge one frame of a pass as the next of a stream, with reasons in words."""
        verdicts = stream.judge(measured.evidence[row])
        sound = [name for name, verdict in verdicts.items() if not verdict.failing]
        return {name: self._explain(name, verdict, measured.measures, row, sound) for name, verdict in verdicts.items()}

    def _explain(self, name: str, verdict: Verdict, measures: ImageMeasures, row: int, sound: Sequence[str]) -> Verdict:
        """Put the reason of a verdict into words, and find what is usable of a partly lost image."""
        this = slice(row, row + 1)
        if verdict.reason == UNUSUAL:
            empty = measures.empty[name][this]
            reason = self.description.sensors[name].normal.describe(measures.statistics[name][this], empty)
            return replace(verdict, reason=reason, usable=~empty[0] if reason == PARTLY_LOST else None)
        if verdict.reason == MISMATCH:
            peaks = [find_peak(measures.edges[other][this], measures.edges[name][this]) for other in sound]
            best = max(peaks, key=lambda peak: peak.height, default=None)
            moved = best and best.height > _CLEAR_PEAK and max(map(abs, best.displacement)) > _SHIFTED
            return replace(verdict, reason="displaced" if moved else "shows another scene, or is displaced")
        return verdict

    def save(self, folder: Path) -> None:
        """Write both files into a model folder."""
        write_json(folder / FILES[0], self.description.model_dump(mode="json"))
        save_file({name: np.ascontiguousarray(maps) for name, maps in self.usual_maps.items()}, folder / FILES[1])


def has_monitor(folder: Path) -> bool:
    """Return whether a model folder has a monitor; those of earlier versions have none."""
    return any((folder / name).exists() for name in FILES)


def load_monitor(folder: Path) -> Monitor | None:
    """Load the monitor of a model folder; None where it has none.

    Raises:
        SensorproofError: a file is missing or broken, or does not fit another.
    """
    if not has_monitor(folder):
        return None
    try:
        description = MonitorDescription.model_validate(read_json(folder / FILES[0]), strict=False)
    except ValidationError as error:
        raise SensorproofError(folder / FILES[0], f"is not a monitor's description ({error})", _FIX) from error
    try:
        maps = load_file(folder / FILES[1])
    except (OSError, SafetensorError) as error:
        raise SensorproofError(folder / FILES[1], f"cannot be loaded ({error})", _FIX) from error
    if sorted(maps) != sorted(description.sensors) or any(m.dtype != np.float32 or m.ndim != 3 for m in maps.values()):
        raise SensorproofError(folder / FILES[1], "does not fit monitor.json", _FIX)
    if not _is_of(maps, load_description(folder)):
        raise SensorproofError(folder / FILES[1], "does not fit model.json", _FIX)
    return Monitor(description, maps)


def _is_of(maps: Mapping[str, NDArray[np.float32]], model: ModelDescription) -> bool:
    """Return whether the mean maps are of a model's sensors, classes and image size."""
    logits = [-(-side // 4) for side in model.size]  # of the first stage
    shape = prediction_maps(np.zeros((1, len(model.classes), *logits), np.float32)).shape[1:]
    return set(maps) == set(model.sensors) and all(own.shape == shape for own in maps.values())
