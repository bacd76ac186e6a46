"""Requests and answers of a served model: plain values, as JSON has them, around the same `Predictor.predict`."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from sensorproof.errors import UsageError
from sensorproof.monitoring.monitor import MonitorMode
from sensorproof.serving.inputs import read_array, short_name
from sensorproof.serving.predictor import Prediction, Predictor

Encoding = Literal["array", "base64", "png"]
"""How an answer holds pixels: numbers, raw bytes in base64, or a PNG in base64."""
Confidence = Literal["mean", "pixel"]
_MAX_FRAMES = 256
"""Frames in one request; they are predicted in one pass."""
_CONFIDENCE_STEPS = 65535
"""A PNG holds the confidence of a pixel as 16 bits: 65535 is 1."""


def read_frames(request: Any) -> list[dict[str, NDArray[Any] | None]]:
    """Return the frames of a request.

    Args:
        request: a list of frames {sensor: image (C, H, W)}; or one frame; or {sensor: images (B, C, H, W)}, in which
            an image that is None or all NaN is missing; or a data frame with a row for each frame. Images are as
            `serving.inputs.read_array` reads them.

    Raises:
        SensorproofError: the request is none of these.
    """
    fix = "give a list of frames, each {sensor: numbers (channels, height, width)}"
    if hasattr(request, "to_dict"):  # pandas, which is not imported for it
        request = request.to_dict("records")
    if isinstance(request, Mapping):
        request = _split_columns(request)
    if not isinstance(request, Sequence | np.ndarray) or isinstance(request, str | bytes):
        raise UsageError("request", f"is {type(request).__name__}, not a list of frames", fix)
    if not len(request):
        raise UsageError("request", "has no frame", fix)
    if len(request) > _MAX_FRAMES:
        raise UsageError("request", f"has {len(request)} frames", f"give at most {_MAX_FRAMES} at once")
    for index, frame in enumerate(request):
        if not isinstance(frame, Mapping):
            raise UsageError(f"frame {index}", f"is {type(frame).__name__}, not {{sensor: image}}", fix)
    return [
        {str(name): read_array(short_name(name), _cell(value)) for name, value in frame.items()} for frame in request
    ]


def _cell(value: Any) -> Any:
    """Return None for the NaN by which a data frame marks an empty cell."""
    return None if isinstance(value, float) and value != value else value


def _split_columns(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Split {sensor: images (B, C, H, W)} into frames; a mapping without such images is one frame."""
    images = {name: _list_or_array(name, value) for name, value in request.items()}
    batches = {name: value for name, value in images.items() if isinstance(value, list) or np.ndim(value) == 4}
    if not batches:
        return [images]
    counts = {short_name(name): len(value) for name, value in batches.items()}
    if len(set(counts.values())) != 1:
        raise UsageError("request", f"its sensors differ in their number of frames: {counts}", "give each the same")
    if odd := sorted(short_name(n) for n, value in images.items() if value is not None and n not in batches):
        raise UsageError("request", f"{odd} is one image, the others are several", "give each sensor the same number")
    frames = range(next(iter(counts.values())))
    return [{name: None if value is None else value[row] for name, value in images.items()} for row in frames]


def _list_or_array(name: Any, value: Any) -> Any:
    """Return an array; but a list that holds a missing or an encoded image, and an encoded image, as they are."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, list) and any(each is None or isinstance(each, Mapping) for each in value):
        return value
    return read_array(short_name(name), value)


@dataclass(frozen=True)
class _Options:
    """The parameters of a request."""

    without: tuple[str, ...] = ()
    """Sensors to leave out of every frame."""
    confidence: Confidence = "mean"
    encoding: Encoding = "array"
    monitor: MonitorMode = "auto"
    """What to do about failing sensors; see `Predictor.predict`."""
    consecutive: bool = False
    """Whether the frames of the request follow one another in time."""

    @classmethod
    def read(cls, params: Mapping[str, Any] | None) -> "_Options":
        """Read the parameters of a request; what is None or not given is as usual.

        Raises:
            UsageError: one has a value that is unknown.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        choices = (("confidence", Confidence), ("encoding", Encoding), ("monitor", MonitorMode))
        for name, known in ((name, get_args(choice)) for name, choice in choices):
            if given.get(name, known[0]) not in known:
                raise UsageError(name, f"{short_name(given[name])!r} is unknown", f"use one of {list(known)}")
        return cls(**{**given, "without": tuple(map(str, given.get("without", ())))})


def predict_request(
    predictor: Predictor, request: Any, params: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Answer a request.

    Args:
        predictor: the model.
        request: see `read_frames`.
        params: `without`, the sensors to leave out of every frame; `confidence`, `mean` or `pixel`; `encoding`, see
            Encoding; `monitor`, `auto`, `report` or `off`; `consecutive`, whether the frames follow one another in
            time, so that a frozen sensor is noticed.

    Returns:
        One a frame: `labels` (H, W), `confidence` (its mean), `confidence_map` (H, W) where asked for, `used`,
        `left_out` and `failing`.

    Raises:
        SensorproofError: the request cannot be answered; its text is one line.
    """
    options = _Options.read(params)
    stream = predictor.open_stream() if options.consecutive else None
    predictions = predictor.predict(
        read_frames(request), without=options.without, monitor=options.monitor, stream=stream
    )
    return [_answer(prediction, options) for prediction in predictions]


def _answer(prediction: Prediction, options: _Options) -> dict[str, Any]:
    """Return a prediction as plain values."""
    answer: dict[str, Any] = {
        "labels": encode(prediction.labels, options.encoding),
        "confidence": float(prediction.confidence.mean(dtype=np.float64)),
        "used": list(prediction.used),
        "left_out": prediction.left_out,
        "failing": prediction.failing,
    }
    if options.confidence == "pixel":
        pixels = prediction.confidence
        if options.encoding == "png":
            pixels = np.rint(pixels * _CONFIDENCE_STEPS).astype(np.uint16)
        answer["confidence_map"] = encode(pixels, options.encoding)
    return answer


def encode(pixels: NDArray[Any], encoding: Encoding) -> Any:
    """Return pixels (H, W) as an answer holds them; `serving.inputs.read_array` reads the two encoded forms again."""
    if encoding == "array":
        return pixels
    if encoding == "png":
        return {"png": base64.b64encode(imagecodecs.png_encode(pixels)).decode("ascii")}
    little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode("ascii")
    return {"base64": text, "dtype": pixels.dtype.name, "shape": list(pixels.shape)}
