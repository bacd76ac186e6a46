"""Predict label maps from raw sensor arrays, by the same preprocessing as in training."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorproof.data.batch import Batch
from sensorproof.data.preprocessing import mark_invalid, prepare_image, standardize
from sensorproof.errors import BatchError, SensorproofError, UsageError
from sensorproof.models import ModelDescription, Segmenter, load_model
from sensorproof.models.segmenter import Features
from sensorproof.models.windows import Windows, in_windows
from sensorproof.monitoring.monitor import Monitor, MonitorMode, load_monitor
from sensorproof.monitoring.stream import Stream, Verdict
from sensorproof.serving.classification import classify
from sensorproof.serving.inputs import MAX_VALUES, read_array, short_name
from sensorproof.training.loop import choose_device

Images = Mapping[str, NDArray[Any] | None]
"""One frame: {sensor: (C, h, w)} in the sensor's own units, as in a batch.

A sensor is absent that is not named, is None, or has no valid pixel. Nested lists and the encoded forms that
`serving.inputs.read_array` reads do as well as arrays.
"""
Usable = Mapping[str, NDArray[np.float32]]
"""The sensors of a frame that have a valid pixel, with invalid pixels NaN."""


@dataclass(frozen=True)
class Prediction:
    """The answer for one frame."""

    labels: NDArray[np.uint8]
    """(H, W), class ids as in batch.yaml."""
    confidence: NDArray[np.float32]
    """(H, W), the probability that the model gives to each pixel's label, 0 to 1."""
    used: tuple[str, ...]
    """The sensors that the labels rest on, sorted."""
    left_out: dict[str, str]
    """{sensor of the model that was not used: reason}."""
    failing: dict[str, str] = field(default_factory=dict)
    """{sensor that the monitor found failing: reason}, whether it was left out, used in part, or only reported.

    Two sensors that do not match, without a third to say which is wrong, are both named, and used.
    """


@dataclass(frozen=True)
class _Prepared:
    """Frames as the model sees them. Sensors that no frame has are missing everywhere."""

    pixels: dict[str, NDArray[np.floating]]
    """{sensor: (B, C, H, W)}, shares of the range, NaN where invalid."""
    inputs: dict[str, Tensor]
    """The same, standardised."""
    present: dict[str, Tensor]
    """{sensor: (B,) bool}."""


class Predictor:
    """Segments frames of which any sensor may be missing.

    Args:
        model: the network; it is set to evaluation mode.
        description: its sensors, classes and image size.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        monitor: finds sensors that fail without saying so; None to believe every sensor.

    Raises:
        UsageError: the device is unknown or not there.

    Examples:
        Predict a frame whose depth sensor has failed:

        >>> import numpy as np
        >>> from sensorproof import load_model
        >>> predictor = load_model("model")
        >>> (prediction,) = predictor.predict([{"camera": np.full((3, 48, 64), 100)}])
        >>> prediction.labels.shape, prediction.used, prediction.left_out
        ((48, 64), ('camera',), {'depth': 'not given'})
    """

    def __init__(
        self, model: Segmenter, description: ModelDescription, device: str = "auto", monitor: Monitor | None = None
    ) -> None:
        self.monitor = monitor
        self.device = choose_device(device)
        self.model = model.to(self.device).eval()
        self.description = description
        self.ids = np.array([each.id for each in description.classes], np.uint8)

    @property
    def sensors(self) -> tuple[str, ...]:
        """The names of the model's sensors, sorted."""
        return self.model.sensors

    def present(self, frame: Images) -> dict[str, NDArray[np.float32]]:
        """Return the sensors of a frame that have a valid pixel, with invalid pixels NaN.

        Raises:
            SensorproofError: a sensor is unknown, or its array has another shape or no numbers.
        """
        usable = {}
        for name, given in frame.items():
            if name not in self.description.sensors:
                where = f"sensor {short_name(name)}"
                raise SensorproofError(where, "is unknown to the model", f"it has {list(self.sensors)}")
            sensor = self.description.sensors[name]
            pixels = read_array(name, given)
            if pixels is None:
                continue
            if pixels.ndim != 3 or pixels.shape[0] != sensor.channels or 0 in pixels.shape:
                fix = f"give ({sensor.channels}, height, width)"
                raise SensorproofError(f"sensor {name}", f"has the shape {pixels.shape}", fix)
            if pixels.size > MAX_VALUES:
                raise SensorproofError(f"sensor {name}", f"has {pixels.size:,} values", f"give at most {MAX_VALUES:,}")
            values = mark_invalid(pixels, sensor.nodata)
            if np.isfinite(values).any():
                usable[name] = values
        return usable

    def open_stream(self) -> Stream | None:
        """Return a stream for `predict`, in which the monitor remembers the frames before; None without a monitor."""
        return self.monitor.open_stream() if self.monitor else None

    def predict(
        self,
        frames: Sequence[Images],
        size: tuple[int, int] | None = None,
        *,
        without: Sequence[str] = (),
        monitor: MonitorMode = "auto",
        stream: Stream | Sequence[Stream | None] | None = None,
        own_size: bool | Windows = False,
    ) -> list[Prediction]:
        """Segment frames in one pass.

        Args:
            frames: see Images.
            size: (H, W) of the label maps. By default that of the frame's reference sensor, or, where it is absent,
                of the frame's largest sensor.
            without: sensors to leave out of every frame.
            monitor: what to do about a sensor that the model's monitor finds failing: leave it out (`auto`), say so
                alone (`report`), or do not look (`off`). A model without a monitor believes every sensor.
            stream: from `open_stream`, if the frames are the next ones of one stream in the order of time, so that
                frozen and displaced sensors are noticed; or one for each frame. By default each frame is by itself.
            own_size: give the model each frame at `size` and not at the size of its training; whole, or in windows that
                slide over it. The monitor is shown frames at the size of training, whichever it is.

        Returns:
            One prediction a frame.

        Raises:
            SensorproofError: a sensor is unknown, its array has another shape or holds no numbers, or a frame has no
                sensor at all.
            UsageError: `without` names an unknown sensor, or all of them; or `monitor` is unknown; or a window is
                larger than a frame.
        """
        if monitor not in get_args(MonitorMode):
            raise UsageError("monitor", f"is {short_name(monitor)!r}", f"use one of {list(get_args(MonitorMode))}")
        omitted = self.check_without(without)
        if not frames:
            return []
        valid = [self.present(frame) for frame in frames]
        usable = [{name: image for name, image in frame.items() if name not in omitted} for frame in valid]
        if empty := [i for i, frame in enumerate(usable) if not frame]:
            fix = f"give one or more of {list(self.sensors)}"
            raise SensorproofError(f"frame {empty[0]}", "has no sensor with a valid pixel", fix)
        sizes = [size or self.natural_size(frame) for frame in usable]
        prepared = self._prepare(usable)
        with torch.inference_mode():
            watched = self.monitor is not None and monitor != "off"
            features = self.model.encode(prepared.inputs) if watched or own_size is False else {}
            verdicts = self._judge(prepared, features, monitor, stream)
            out = [{name: v for name, v in each.items() if v.failing and monitor == "auto"} for each in verdicts]
            if own_size is False:
                decoded = [self._decode(features, prepared.present, k, size, out[k]) for k, size in enumerate(sizes)]
            else:
                windows = own_size if isinstance(own_size, Windows) else None
                decoded = [self._predict_own(usable[k], size, out[k], windows) for k, size in enumerate(sizes)]
        return [
            self._answer(decoded[row], frames[row], usable[row], omitted, out[row], verdicts[row])
            for row in range(len(frames))
        ]

    def _judge(
        self,
        prepared: _Prepared,
        features: Features,
        mode: MonitorMode,
        stream: Stream | Sequence[Stream | None] | None,
    ) -> list[dict[str, Verdict]]:
        """Return, for each frame of a pass, the verdicts on the sensors that something is wrong with."""
        frames = len(next(iter(prepared.pixels.values())))
        if self.monitor is None or mode == "off":
            return [{} for _ in range(frames)]
        streams = stream if isinstance(stream, Sequence) else [stream] * frames
        present = {name: mask.cpu().numpy() for name, mask in prepared.present.items()}
        measured = self.monitor.measure(prepared.pixels, present, features, self.model)
        verdicts = [
            self.monitor.judge(measured, row, streams[row] or self.monitor.open_stream()) for row in range(frames)
        ]
        return [{name: verdict for name, verdict in each.items() if verdict.reason} for each in verdicts]

    def _decode(
        self,
        features: Features,
        present: Mapping[str, Tensor],
        row: int,
        size: tuple[int, int],
        failing: Mapping[str, Verdict],
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class ids and confidence of one frame of a pass; one at a time, because full-size logits are large."""
        weights = self._weigh({name: mask[row : row + 1] for name, mask in present.items()}, failing)
        own = {name: [stage[row : row + 1] for stage in features[name]] for name in weights}
        places, confidence = classify(self.model.decode_coarsely(own, weights).float(), size)
        return np.asarray(self.ids[places[0].cpu().numpy()]), confidence[0].cpu().numpy()

    def _predict_own(
        self, frame: Usable, size: tuple[int, int], failing: Mapping[str, Verdict], windows: Windows | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class ids and confidence of one frame, which the network is given at its own size."""
        inputs, present = self.tensors([frame], size)
        weights, model = self._weigh(present, failing), in_windows(self.model, windows)
        logits = model.decode(model.encode({name: inputs[name] for name in weights}), weights, size).float()
        best, places = logits.max(1)
        confidence = (best - logits.logsumexp(1)).exp()
        return np.asarray(self.ids[places[0].cpu().numpy()]), confidence[0].cpu().numpy()

    def _weigh(self, present: Mapping[str, Tensor], failing: Mapping[str, Verdict]) -> dict[str, Tensor]:
        """Return presence (1,) of one frame without its failing sensors, (1, h, w) of one that is partly lost."""
        weights = {}
        for name, mask in present.items():
            verdict = failing.get(name)
            if verdict is None:
                weights[name] = mask
            elif verdict.usable is not None:
                weights[name] = torch.from_numpy(verdict.usable[None]).to(self.device, torch.float32)
        return weights

    def _answer(
        self,
        decoded: tuple[NDArray[np.uint8], NDArray[np.float32]],
        given: Images,
        usable: Usable,
        omitted: Collection[str],
        failed: Mapping[str, Verdict],
        verdicts: Mapping[str, Verdict],
    ) -> Prediction:
        """Return the prediction of one frame, with an account of its sensors."""
        out = {name for name, verdict in failed.items() if verdict.usable is None}
        used = tuple(sorted(set(usable) - out))
        reasons = dict.fromkeys(self.sensors, "has no valid pixel")
        reasons |= {name: "not given" for name in self.sensors if given.get(name) is None}
        reasons |= {name: f"failing: {failed[name].reason}" for name in out}
        reasons |= dict.fromkeys(omitted, "left out on request")
        left_out = {name: reason for name, reason in reasons.items() if name not in used}
        failing = {name: verdict.reason for name, verdict in sorted(verdicts.items())}
        return Prediction(*decoded, used, left_out, failing)

    def natural_size(self, frame: Usable) -> tuple[int, int]:
        """Return (H, W) of the frame's reference sensor, else of its largest."""
        reference = frame.get(self.description.reference)
        chosen = reference if reference is not None else max(frame.values(), key=lambda x: x.shape[1] * x.shape[2])
        return chosen.shape[1], chosen.shape[2]

    def tensors(
        self, frames: Sequence[Usable], size: tuple[int, int] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return {sensor: (B, C, H, W)} and presence {sensor: (B,) bool} of the sensors that any frame has.

        Args:
            frames: from `present`.
            size: (H, W) of the tensors; by default that of training.
        """
        prepared = self._prepare(frames, size)
        return prepared.inputs, prepared.present

    def _prepare(self, frames: Sequence[Usable], size: tuple[int, int] | None = None) -> _Prepared:
        """Prepare frames as in training."""
        prepared, size = _Prepared({}, {}, {}), size or self.description.size
        for name in self.sensors:
            here = [name in frame for frame in frames]
            if not any(here):
                continue
            described = self.description.sensors[name]
            pixels = np.full((len(frames), described.channels, *size), np.nan, described.stored)
            for row, frame in enumerate(frames):
                if name in frame:
                    pixels[row] = prepare_image(frame[name], described, size, described.stored)
            prepared.pixels[name] = pixels
            prepared.inputs[name] = standardize(pixels, described).to(self.device)
            prepared.present[name] = torch.tensor(here, device=self.device)
        return prepared

    def check_without(self, names: Sequence[str]) -> set[str]:
        """Check which sensors to leave out, and return them as a set.

        Raises:
            UsageError: one is unknown, or none would be left.
        """
        if unknown := sorted(set(names) - set(self.sensors)):
            raise UsageError("without", f"sensors {unknown} are unknown", f"the model has {list(self.sensors)}")
        if set(names) == set(self.sensors):
            raise UsageError("without", "leaves no sensor", f"keep one or more of {list(self.sensors)}")
        return set(names)


def check_fits(predictor: Predictor, batch: Batch) -> None:
    """Check that batch and model agree on classes and on the sensors that both have."""
    description = predictor.description
    where = batch.root / "batch.yaml"
    if batch.info.classes != description.classes:
        names = ", ".join(f"{c.id} {c.name}" for c in description.classes)
        raise BatchError(where, "classes differ from the model's", f"the model has {names}")
    shared = [name for name in predictor.sensors if name in batch.sensors]
    if not shared:
        raise BatchError(where, f"has none of the model's sensors {list(predictor.sensors)}", "use its names")
    for name in shared:
        ours, theirs = batch.sensors[name], description.sensors[name]
        for key in ("kind", "channels", "range"):
            if getattr(ours, key) != getattr(theirs, key):
                fault = f"{name}: {key} is {getattr(ours, key)}, the model was trained on {getattr(theirs, key)}"
                raise BatchError(where, fault, "give the sensor as it was in training, or name it otherwise")


def load_predictor(folder: Path, device: str = "auto") -> Predictor:
    """Load a model folder.

    Raises:
        SensorproofError: the folder does not hold a whole model, or the device is not there.
    """
    model, description = load_model(folder)
    return Predictor(model, description, device, load_monitor(folder))
