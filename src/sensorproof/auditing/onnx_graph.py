"""Run an ONNX file: an export of ours with its preprocessing, or any graph whose inputs bear the sensors' names."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sensorproof.auditing.answers import NAMES, drop_batch_axis
from sensorproof.auditing.models import AuditedModel, Images, Size, describe_error
from sensorproof.data.batch import Batch
from sensorproof.errors import BatchError, ModelError, SensorproofError
from sensorproof.files import read_json

_TYPES: Final[Mapping[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(int32)": np.int32,
}
_RANK = 4
_EXAMPLE = "sensorproof.serving.exported.example"


def open_onnx(path: Path) -> AuditedModel:
    """Open an ONNX file.

    Beside a model.json from `sensorproof export` it gets our preprocessing, and any sensor may be missing. Any other
    graph gets each sensor as the input of that name, (1, C, h, w) or (C, h, w), in the sensor's own units, invalid
    pixels 0. Its output `logits` or `labels` is read, else its first.

    Raises:
        SensorproofError: the file is missing or is not ONNX, its inputs cannot be images, or onnxruntime is missing.
    """
    if not path.is_file():
        raise SensorproofError(path, "does not exist", "give an ONNX file")
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        fix = "run `pip install onnxruntime`"
        raise SensorproofError(path, "onnxruntime is not installed, which runs ONNX", fix) from error
    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has an exception for each cause
        raise SensorproofError(path, f"cannot be read as ONNX ({describe_error(error)})", "export it again") from error
    about = path.with_name("model.json")
    if about.is_file() and isinstance(described := read_json(about), dict) and described.get("graph") == path.name:
        return _open_export(path.parent)
    return _Graph(path, session).model()


def _open_export(folder: Path) -> AuditedModel:
    """Open an export of ours by the example that is written beside it."""
    model = importlib.import_module(_EXAMPLE).Model(folder)

    def answer(images: dict[str, Any], size: Size) -> Any:
        return model.predict(images, size)[0]

    return AuditedModel(str(folder), "an ONNX export of Sensorproof", answer, tuple(sorted(model.sensors)))


class _Graph:
    """A graph that we know nothing of but its inputs and outputs."""

    def __init__(self, path: Path, session: Any) -> None:
        self.path, self.session = path, session
        self.inputs = {given.name: given for given in session.get_inputs()}
        odd = {n: i.type for n, i in self.inputs.items() if i.type not in _TYPES or len(i.shape) not in (3, _RANK)}
        if odd:
            fault = f"its input {next(iter(odd))} is {next(iter(odd.values()))} and not an image"
            raise SensorproofError(path, fault, "give a graph with an image (1, C, h, w) for each sensor")
        names = [output.name for output in session.get_outputs()]
        self.output = next((name for name in NAMES if name in names), names[0])

    def model(self) -> AuditedModel:
        """Return it as a model."""
        return AuditedModel(str(self.path), "an ONNX graph", self._answer, tuple(sorted(self.inputs)), self._check)

    def _check(self, batch: Batch) -> None:
        where = batch.root / "batch.yaml"
        for name, claimed in self.inputs.items():
            if name not in batch.sensors:
                fix = "name the graph's inputs after the batch's sensors"
                raise BatchError(where, f"has no sensor {name!r}, which is an input of {self.path.name}", fix)
            channels = claimed.shape[len(claimed.shape) - 3]
            if isinstance(channels, int) and channels != batch.sensors[name].channels:
                fault = f"{name} has {batch.sensors[name].channels} channels, {self.path.name} takes {channels}"
                raise BatchError(where, fault, "give the images that the graph was made for")

    def _answer(self, images: Images, size: Size) -> NDArray[Any]:
        feeds = {}
        for name, pixels in images.items():
            claimed = self.inputs[name]
            fixed = claimed.shape[-2:]
            if any(isinstance(own, int) and own != given for own, given in zip(fixed, pixels.shape[1:], strict=True)):
                fault = f"takes {name} at {fixed[0]} x {fixed[1]}, the frame has {pixels.shape[1]} x {pixels.shape[2]}"
                raise ModelError("model", fault, "export it with free height and width, or wrap it as module:callable")
            kind = np.dtype(_TYPES[claimed.type])
            values = np.nan_to_num(pixels)
            if kind.kind != "f":
                values = np.clip(np.rint(values), np.iinfo(kind).min, np.iinfo(kind).max)
            feeds[name] = values.astype(kind)[(None,) * (len(claimed.shape) - 3)]
        return drop_batch_axis(self.session.run([self.output], feeds)[0])
