"""A model folder logged to MLflow: signature, code and requirements beside the weights, and nothing pickled."""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorproof.adapters.mlflow import Connection
from sensorproof.files import read_json
from sensorproof.serving.code import PACKAGE, copy_code, needed_files, requirements

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

NAME = "model"
_ENTRY = "sensorproof.adapters.mlflow_pyfunc"


def log_model(connection: Connection, run_id: str, folder: Path) -> tuple[str, str]:
    """Log a model folder under a run; return the logged model's address and id.

    It carries the part of our code that it needs, so that `mlflow models serve` and `mlflow.pyfunc.load_model` need
    nothing from this checkout, and the code stays that of the model.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    files = needed_files(_ENTRY)
    # MLflow asks for an input example to read a signature from; the signature is given.
    with tempfile.TemporaryDirectory() as code, warnings.catch_warnings(record=True):
        info = Model.log(
            None,
            mlflow.pyfunc,
            name=NAME,
            run_id=run_id,
            python_model=str(PACKAGE / "adapters/mlflow_pyfunc.py"),
            artifacts={NAME: str(folder)},
            code_paths=[str(copy_code(files, Path(code)))],
            signature=signature(read_json(folder / "model.json")["sensors"]),
            pip_requirements=requirements(files),
        )
    return info.model_uri, info.model_id


def signature(sensors: Mapping[str, Any]) -> "ModelSignature":
    """Named float32 tensors (-1, C, -1, -1), one per sensor; uint8 (-1, -1, -1) out; the parameter `without`."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [
        TensorSpec(np.dtype(np.float32), (-1, sensor["channels"], -1, -1), name)
        for name, sensor in sorted(sensors.items())
    ]
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1))]),
        params=ParamSchema([ParamSpec("without", DataType.string, [], (-1,))]),
    )
