"""A model folder logged to MLflow: signature, code and requirements beside the weights, and nothing pickled."""

import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sensorproof
from sensorproof.adapters.mlflow import Connection
from sensorproof.files import read_json

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

PACKAGE = Path(sensorproof.__file__).parent
NAME = "model"


def log_model(connection: Connection, run_id: str, folder: Path) -> tuple[str, str]:
    """Log a model folder under a run; return the logged model's address and id.

    It carries the package's own code, so that `mlflow models serve` and `mlflow.pyfunc.load_model` need nothing from
    this checkout, and the code stays that of the model.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with warnings.catch_warnings(record=True):  # it asks for an input example; the signature is given
        info = Model.log(
            None,
            mlflow.pyfunc,
            name=NAME,
            run_id=run_id,
            python_model=str(PACKAGE / "adapters/mlflow_pyfunc.py"),
            artifacts={NAME: str(folder)},
            code_paths=[str(PACKAGE)],
            signature=signature(read_json(folder / "model.json")["sensors"]),
            pip_requirements=requirements(),
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


def requirements() -> list[str]:
    """What our code needs, in the versions that are installed here (a build's own suffix, `+cpu`, left out)."""
    names = [line.split(";")[0] for line in metadata.requires("sensorproof") or []]
    names = ["mlflow", *(n.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip() for n in names)]
    return [f"{name}=={metadata.version(name).split('+')[0]}" for name in names]
