"""Export a model as ONNX or as a `torch.export` program, with an example that needs nothing of ours."""

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from sensorproof.errors import UsageError
from sensorproof.files import atomic_folder, write_json
from sensorproof.models import ModelDescription
from sensorproof.serving.graph import OUTPUTS, PRESENT, open_sizes, trace
from sensorproof.serving.predictor import Predictor

FORMATS = {"onnx": "model.onnx", "torch": "model.pt2"}
"""{format: the file that holds the graph}."""
OPSET = 20
"""Version of ONNX's operators; the first with GELU."""
EXAMPLE = Path(__file__).parent / "exported/example.py"
_AXES = ("batch", "height", "width")


def check_target(out: Path, kind: str) -> None:
    """Check what can be checked before a model is loaded.

    Raises:
        UsageError: the format is unknown, or the folder is not empty.
    """
    if kind not in FORMATS:
        raise UsageError(f"format {kind!r}", "is not known", f"available: {', '.join(FORMATS)}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(out, "exists and is not an empty folder", "choose another folder")


def export_model(predictor: Predictor, out: Path, kind: str = "onnx") -> Path:
    """Write a folder with the graph, model.json and example.py, whole or not at all.

    Args:
        predictor: the model, on the CPU.
        out: the folder to write; new or empty.
        kind: `onnx` or `torch`.

    Returns:
        The file of the graph; `serving.graph.Graph` describes its inputs and outputs.

    Raises:
        UsageError: the format is unknown, the folder is not empty, or a sensor has the name of another input or output.
        ModuleNotFoundError: for ONNX, the extra `export` is not installed.
    """
    check_target(out, kind)
    if taken := sorted({PRESENT, *OUTPUTS} & set(predictor.sensors)):
        raise UsageError("sensors", f"{taken} are names of the graph's other inputs and outputs", "rename them")
    if kind == "onnx":
        import onnxscript  # noqa: F401 (missing it is reported before the model is traced)
    with _quiet(), open_sizes():
        program = trace(predictor.model, predictor.description)
        with atomic_folder(out) as folder:
            if kind == "onnx":
                _write_onnx(program, predictor.sensors, folder / FORMATS[kind])
            else:
                torch.export.save(program, folder / FORMATS[kind])
            write_json(folder / "model.json", _describe(predictor.description, kind))
            shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)
    return out / FORMATS[kind]


def _describe(description: ModelDescription, kind: str) -> dict[str, Any]:
    """Return what model.json says: the model's own, with the sensors in the order of the inputs."""
    document = description.model_dump(mode="json")
    ordered = sorted(description.sensors.items())
    sensors = {name: {**document["sensors"][name], "stored": sensor.stored} for name, sensor in ordered}
    return {
        "graph": FORMATS[kind],
        "inputs": [*sensors, PRESENT],
        "outputs": list(OUTPUTS),
        "sensors": sensors,
        "reference": document["reference"],
        "classes": document["classes"],
        "size": document["size"],
    }


def _write_onnx(program: ExportedProgram, sensors: tuple[str, ...], path: Path) -> None:
    """Write one file, without the notes on where in the code an operation came from."""
    import onnx

    converted: Any = torch.onnx.export(
        program, input_names=[*sensors, PRESENT], output_names=list(OUTPUTS), opset_version=OPSET, verbose=False
    )
    model = converted.model_proto
    graph = model.graph
    graph.ClearField("value_info")  # shapes in symbols that nobody knows
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    for value in (*graph.input, *graph.output):
        prefix = "coarse_" if value.name == OUTPUTS[1] else ""
        for axis, name in zip((0, 2, 3), _AXES, strict=True):
            dimensions = value.type.tensor_type.shape.dim
            if axis < len(dimensions):
                dimensions[axis].dim_param = name if axis == 0 else prefix + name
    onnx.checker.check_model(model)
    onnx.save_model(model, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporters report: missing packages that no operation here needs, and steps they skip."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
