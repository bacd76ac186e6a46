"""Log a model folder to MLflow: signature, code and requirements beside the weights, and nothing pickled."""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sensorproof.adapters.mlflow import Connection
from sensorproof.files import read_json
from sensorproof.serving.code import PACKAGE, copy_code, needed_files, requirements

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

_NAME = "model"
_ENTRY = "sensorproof.adapters.mlflow_pyfunc"


def log_model(connection: Connection, run_id: str, folder: Path) -> tuple[str, str]:
    """Log a model folder under a run; return the logged model's address and id.

    The logged model contains the part of our code that it needs. So `mlflow models serve` and
    `mlflow.pyfunc.load_model` need nothing from this checkout, and the model keeps the code it was made with.

    Args:
        connection: see `mlflow.connect`.
        run_id: the run of the training.
        folder: from `save_model`.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    files = needed_files(_ENTRY)
    channels = {name: sensor["channels"] for name, sensor in read_json(folder / "model.json")["sensors"].items()}
    # MLflow warns that there is no input example to infer a signature from; the signature is given.
    with tempfile.TemporaryDirectory() as code, warnings.catch_warnings(record=True):
        info = Model.log(
            None,
            mlflow.pyfunc,
            name=_NAME,
            run_id=run_id,
            python_model=str(PACKAGE / "adapters/mlflow_pyfunc.py"),
            artifacts={_NAME: str(folder)},
            code_paths=[str(copy_code(files, Path(code)))],
            signature=_signature(channels),
            pip_requirements=requirements(files),
        )
    return info.model_uri, info.model_id


def _signature(channels: Mapping[str, int]) -> "ModelSignature":
    """Describe inputs and outputs.

    Args:
        channels: {sensor: C}.

    Returns:
        In: one float32 tensor (-1, C, -1, -1) per sensor, by name, and the parameter `without`, a list of sensors.
        Out: uint8 (-1, -1, -1).
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [
        TensorSpec(np.dtype(np.float32), (-1, number, -1, -1), name) for name, number in sorted(channels.items())
    ]
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, -1))]),
        params=ParamSchema([ParamSpec("without", DataType.string, [], (-1,))]),
    )
