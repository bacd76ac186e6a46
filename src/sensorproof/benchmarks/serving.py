"""`sensorproof bench serving`: do HTTP, pyfunc, ONNX and torch.export agree with torch, and what does each cost?"""

import base64
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray

from sensorproof.adapters.mlflow_model import save_packaged
from sensorproof.adapters.mlflow_serving import load_pyfunc, post, request_body, serve
from sensorproof.data.batch import Batch
from sensorproof.data.frame_checks import load_frame
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.subsets import all_subsets
from sensorproof.serving.export import export_model
from sensorproof.serving.inputs import read_array
from sensorproof.serving.predictor import Predictor, load_predictor
from sensorproof.serving.requests import encode

Frame = dict[str, NDArray[Any]]
Labels = NDArray[np.uint8]
_REPEATS = 15
_ENCODINGS = ("array", "base64", "png")
_PLAIN: Any = {"monitor": "off"}
"""Exported graphs have no monitor, so none takes part."""


def bench_serving(model: Path, batch: Batch, frames: int, split: str | None = None) -> dict[str, float]:
    """Compare every way to run a model with the same model in this process.

    Args:
        model: a model folder.
        batch: frames of its sensors.
        frames: how many of them to compare, spread evenly.
        split: only frames of this split (the column of frames.csv).

    Returns:
        `agreement/<way>`: the lowest share of equal pixels over all subsets. `time/<way>`: the time of one frame with
        all sensors as a ratio to torch in this process; `time/http_<encoding>_body` is the part of it that reads and
        writes the bodies.
    """
    chosen = list(_choose(batch, frames, split))
    predictor = load_predictor(model, "cpu")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        packaged = Path(folder) / "packaged"
        save_packaged(model, "Written for a benchmark.", packaged)
        exported = {kind: Path(folder) / kind for kind in ("onnx", "torch")}
        for kind, out in exported.items():
            export_model(predictor, out, kind)
        pyfunc = load_pyfunc(packaged)
        standalone = {kind: _load_example(out).Model(out) for kind, out in exported.items()}
        with serve(packaged) as url:
            ways: dict[str, Callable[[Frame], Labels]] = {
                "http": lambda frame: _ask(url, frame, "png"),
                "pyfunc": lambda frame: np.asarray(pyfunc.predict([frame], params=_PLAIN)[0]["labels"], np.uint8),
                "onnx": lambda frame: standalone["onnx"].predict(frame)[0],
                "torch_export": lambda frame: standalone["torch"].predict(frame)[0],
            }
            for name, share in _agreement(predictor, chosen, ways).items():
                figures[f"agreement/{name}"] = share
            whole = next((f for f in chosen if len(f) == len(predictor.sensors)), None)
            if whole is None:
                raise SensorproofError(batch.root, "no frame has all sensors", "give more frames")
            figures |= _times(predictor, whole, ways, url)
    return figures


def _choose(batch: Batch, number: int, split: str | None) -> Iterator[Frame]:
    """Yield some frames of a batch, spread evenly."""
    table = batch.frames
    rows = np.flatnonzero(table.split == split) if split else np.arange(len(table))
    if not len(rows):
        raise SensorproofError(batch.root, f"has no frame of the split {split}", "choose another split")
    for row in rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)]:
        yield dict(load_frame(batch, int(row))[0].images)


def _agreement(
    predictor: Predictor, frames: list[Frame], ways: dict[str, Callable[[Frame], Labels]]
) -> dict[str, float]:
    """Return the lowest share of equal labels over the subsets, for each way."""
    lowest = dict.fromkeys(ways, 1.0)
    for subset in all_subsets(predictor.sensors):
        equal, pixels = dict.fromkeys(ways, 0), 0
        for frame in frames:
            kept = {name: image for name, image in frame.items() if name in subset}
            if not predictor.present(kept):
                continue
            (expected,) = predictor.predict([kept], **_PLAIN)
            pixels += expected.labels.size
            for name, way in ways.items():
                equal[name] += int((way(kept) == expected.labels).sum())
        if pixels:
            lowest = {name: min(share, equal[name] / pixels) for name, share in lowest.items()}
    return lowest


def _times(
    predictor: Predictor, frame: Frame, ways: dict[str, Callable[[Frame], Labels]], url: str
) -> dict[str, float]:
    """Time one frame in every way, in turn, on one thread; return the ratios of the medians to torch's."""
    calls: dict[str, Callable[[], Any]] = {
        "torch": lambda: predictor.predict([frame], **_PLAIN),
        "onnx": lambda: ways["onnx"](frame),
        "torch_export": lambda: ways["torch_export"](frame),
        "pyfunc": lambda: ways["pyfunc"](frame),
    }
    for encoding in _ENCODINGS:
        calls[f"http_{encoding}"] = partial(_ask, url, frame, encoding)
        answer = post(url, _body(frame, encoding))
        calls[f"http_{encoding}_body"] = partial(_rewrite, frame, encoding, answer)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with _one_thread():
        for _ in range(_REPEATS):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                taken[name].append(time.perf_counter() - start)
    middle = {name: statistics.median(times) for name, times in taken.items()}
    ratios = {f"time/{name}": value / middle["torch"] for name, value in middle.items() if name != "torch"}
    return {"milliseconds/torch": 1000 * middle["torch"], **ratios}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _body(frame: Frame, encoding: str) -> bytes:
    """Write a request of one frame."""
    return request_body(
        [{name: _encode(image, encoding) for name, image in frame.items()}], {"encoding": encoding, **_PLAIN}
    )


def _encode(image: NDArray[Any], encoding: str) -> Any:
    """Encode (C, H, W). As a PNG only what one holds: whole numbers up to 16 bits; the rest as raw bytes."""
    if encoding == "array":
        return image.tolist()
    whole = bool((image == np.rint(image)).all() and image.min() >= 0 and image.max() <= 65535)
    if encoding == "base64" or len(image) not in (1, 3) or not whole:
        return encode(image, "base64")
    kind = np.uint8 if image.max() <= 255 else np.uint16
    pixels = np.moveaxis(image.astype(kind), 0, -1)
    coded = imagecodecs.png_encode(np.ascontiguousarray(pixels[..., 0] if len(image) == 1 else pixels))
    return {"png": base64.b64encode(coded).decode("ascii")}


def _ask(url: str, frame: Frame, encoding: str) -> Labels:
    """Return the labels of one frame by HTTP."""
    return _labels(json.loads(post(url, _body(frame, encoding)))["predictions"][0]["labels"])


def _labels(answer: Any) -> Labels:
    labels = read_array("labels", answer)
    if labels is None:
        raise SensorproofError("answer", "has no labels", "see the log of the server")
    return np.asarray(labels.reshape(labels.shape[-2:]), np.uint8)


def _rewrite(frame: Frame, encoding: str, answer: bytes) -> None:
    """Write and read both bodies once, on both sides: what a request costs beside transfer and model."""
    request = json.loads(_body(frame, encoding))
    for name, image in request["inputs"][0].items():
        read_array(name, image)
    predictions = json.loads(answer)
    _labels(predictions["predictions"][0]["labels"])
    json.dumps(predictions)


def _load_example(folder: Path) -> ModuleType:
    """Load the example of an export as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{folder.name}", folder / "example.py")
    if spec is None or spec.loader is None:
        raise SensorproofError(folder, "holds no example.py", "export the model again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
