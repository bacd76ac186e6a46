"""Models in MLflow that are not ours: fetch their files, refuse pickles, and run them by MLflow's pyfunc."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters import quiet_environment
from sensorproof.adapters.mlflow import connect
from sensorproof.adapters.mlflow_registry import ModelUri, Registry
from sensorproof.errors import SensorproofError, UsageError

PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill")
"""Endings of files that run code when they are loaded."""
_STORED = ("models:", "runs:", "mlflow-artifacts:")
"""Addresses that are looked up in the tracking store."""
Predict = Callable[[Mapping[str, NDArray[np.float32]]], Any]


def is_ours(address: str) -> bool:
    """Return whether an address is that of a version that Sensorproof registered.

    Raises:
        UsageError: the address names a version that does not exist.
        SensorproofError: the registry cannot be reached.
    """
    try:
        parsed = ModelUri.parse(address)
    except UsageError:
        return False
    with connect(create=False) as connection:
        registry = Registry(connection, parsed.name)
        version = registry.with_alias(parsed.alias or "") if parsed.number is None else registry.version(parsed.number)
    if version is None:
        raise UsageError(address, "does not exist", "see `sensorproof registry status`, or MLflow's page of the model")
    return tag.MODEL_HASH in version.tags


@contextmanager
def fetched_model(address: str) -> Iterator[Path]:
    """Copy a model into a temporary folder; nothing of it is executed.

    Raises:
        SensorproofError: it cannot be fetched.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as folder:
        store = connect(create=False) if address.startswith(_STORED) else nullcontext()
        with store:
            try:
                fetched = Path(download_artifacts(address, dst_path=folder))
            except (MlflowException, OSError, ValueError, ImportError) as error:
                line = next(iter(str(error).strip().splitlines()), type(error).__name__)
                fix = "check the address, and MLFLOW_TRACKING_URI"
                raise SensorproofError(address, f"cannot be fetched ({line})", fix) from error
        if not (fetched / "MLmodel").is_file():
            raise SensorproofError(address, "holds no MLmodel file", "give the address of a logged model")
        yield fetched


def refuse_pickles(folder: Path, name: str) -> None:
    """Check that a model can be loaded without a pickle.

    Raises:
        SensorproofError: it holds one.
    """
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICKLES and file.is_file())
    if found:
        fix = 'log it as code (`python_model="file.py"`) with safetensors or ONNX weights, or give module:callable'
        fault = f"holds the pickle {found[0].relative_to(folder)}, which can run any code when it is loaded"
        raise SensorproofError(name, fault, fix)


def open_pyfunc(folder: Path, name: str) -> tuple[tuple[str, ...] | None, Predict]:
    """Load an MLflow model by its pyfunc flavour.

    Args:
        folder: holds an MLmodel file.
        name: of the model, for messages.

    Returns:
        The sensors that its signature names, None without a signature of named tensors, and a function that predicts
        one frame {sensor: (C, h, w)}. The model gets {sensor: (1, C, h, w)}, or whatever rank and type of number its
        signature has; invalid pixels are 0.

    Raises:
        SensorproofError: it holds a pickle, has no pyfunc flavour, or cannot be loaded.
    """
    refuse_pickles(folder, name)
    quiet_environment()
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():  # advice for those who log models
            warnings.simplefilter("ignore")
            model = mlflow.pyfunc.load_model(str(folder))
        tensors = _named_tensors(model.metadata.get_input_schema())
    except (Exception, SystemExit) as error:  # MLflow runs the model's own code
        line = next(iter(str(error).strip().splitlines()), "")
        fault = f"MLflow cannot load it ({type(error).__name__}{': ' if line else ''}{line:.150})"
        fix = "make `mlflow.pyfunc.load_model` work in this environment"
        raise SensorproofError(name, fault, fix) from error

    def predict(images: Mapping[str, NDArray[np.float32]]) -> Any:
        try:
            return model.predict({name: _to_input(pixels, tensors.get(name)) for name, pixels in images.items()})
        except MlflowException as error:  # its text repeats the data before it comes to the point
            raise MlflowException(str(error).rpartition("Error: ")[2]) from error

    return (tuple(sorted(tensors)) if tensors else None), predict


def _named_tensors(schema: Any) -> dict[str, Any]:
    """Return {input: its specification} of a signature of named tensors; empty for any other."""
    if schema is None or not schema.is_tensor_spec() or not schema.has_input_names():
        return {}
    return dict(schema.input_dict())


def _to_input(pixels: NDArray[np.float32], claimed: Any) -> NDArray[Any]:
    """Return (C, h, w) as the model takes it."""
    values = np.nan_to_num(pixels)
    if claimed is None:
        return values[None]
    kind = np.dtype(claimed.type)
    if kind.kind in "iu":
        values = np.clip(np.rint(values), np.iinfo(kind).min, np.iinfo(kind).max)
    return values.astype(kind)[(None,) * max(0, len(claimed.shape) - values.ndim)]
