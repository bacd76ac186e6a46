"""Open a model by its name: ours, an address in MLflow, an ONNX file, a pyfunc folder, or `module:callable`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sensorproof.auditing.functions import load_function
from sensorproof.auditing.models import AuditedModel, wrap_model
from sensorproof.auditing.onnx_graph import open_onnx
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.loading import load_model
from sensorproof.serving.predictor import load_predictor

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_FUNCTION = re.compile(r"(?P<module>[^\W\d]\w*(?:\.\w+)*):(?P<name>\w+(?:\.\w+)*)")
_OURS = ("model.json", "model.safetensors")
_PACKAGED = "artifacts/model"
"""Our model folder within a packaged model."""
_GRAPH = "model.onnx"
_FORMS = "give a model folder, models:/NAME/VERSION or another MLflow address, a .onnx file, or module:callable"


@contextmanager
def open_model(source: str | Path) -> Iterator[AuditedModel]:
    """Open a model for as long as the block lasts.

    Args:
        source: a model folder of ours; a registry address (`models:/…`) or another address that MLflow knows
            (`runs:/…`, `s3://…`); a folder with an MLmodel file; an ONNX file, or a folder with a model.onnx; or
            `module:callable`. The module is looked for in the working directory as well.

    Raises:
        UsageError: the text is none of these, or names a module or a callable that is not there.
        SensorproofError: the model cannot be loaded, or it holds pickles, which are never loaded.
    """
    text, path = str(source), Path(source)
    if _URI.match(text):
        with _open_address(text) as model:
            yield replace(model, name=text)
    elif path.is_dir():
        yield replace(_open_folder(path, text), name=text)
    elif path.suffix.lower() == ".onnx":
        yield replace(open_onnx(path), name=text)
    elif (match := _FUNCTION.fullmatch(text)) and not path.exists():
        yield replace(wrap_model(load_function(match["module"], match["name"])), name=text)
    else:
        fault = "is a file of another kind; pickles are never loaded" if path.exists() else "does not exist"
        raise UsageError(text, fault, _FORMS)


@contextmanager
def _open_address(address: str) -> Iterator[AuditedModel]:
    """Open an address that MLflow knows; a version that was registered by us is loaded as ours."""
    from sensorproof.adapters.mlflow_foreign import fetched_model, is_ours

    if is_ours(address):
        yield wrap_model(load_model(address))
        return
    with fetched_model(address) as folder:
        yield _open_folder(folder, address)


def _open_folder(folder: Path, name: str) -> AuditedModel:
    """Open a folder: ours, an export, or an MLflow model."""
    if (folder / "MLmodel").is_file():
        if all((folder / _PACKAGED / name).is_file() for name in _OURS):
            return wrap_model(load_predictor(folder / _PACKAGED))
        from sensorproof.adapters.mlflow_foreign import open_pyfunc
        from sensorproof.auditing.answers import unwrap_answer

        sensors, predict = open_pyfunc(folder, name)
        answer = lambda images, size: unwrap_answer(predict(images))  # noqa: E731
        return AuditedModel(name, "an MLflow pyfunc", answer, sensors)
    if (folder / _GRAPH).is_file():
        return open_onnx(folder / _GRAPH)
    if any((folder / name).exists() for name in _OURS):
        return wrap_model(load_predictor(folder))
    raise SensorproofError(name, "holds neither model.json, nor MLmodel, nor model.onnx", _FORMS)
