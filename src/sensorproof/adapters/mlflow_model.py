"""Log a model folder to MLflow: signature, code and requirements beside the weights, and nothing pickled."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensorproof.adapters.mlflow import Connection
from sensorproof.files import read_json
from sensorproof.serving.code import PACKAGE, copy_code, needed_files, requirements
from sensorproof.serving.package import hash_model

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

_NAME = "model"
CARD = "MODEL_CARD.md"
_ENTRY = "sensorproof.adapters.mlflow_pyfunc"


def log_model(connection: Connection, run_id: str, folder: Path, card: str) -> tuple[str, str]:
    """Log a model folder under a run; return the logged model's address and id.

    The logged model contains the part of our code that it needs. So `mlflow models serve` and
    `mlflow.pyfunc.load_model` need nothing from this checkout, and the model keeps the code it was made with.

    Args:
        connection: see `mlflow.connect`.
        run_id: the run of the training.
        folder: from `save_model`.
        card: the model card, which is stored beside the model folder.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    with _package(folder, card) as package:
        info = Model.log(None, mlflow.pyfunc, name=_NAME, run_id=run_id, **package)
    return info.model_uri, info.model_id


def save_packaged(folder: Path, card: str, out: Path) -> None:
    """Write the packaged model into a folder, as `log_model` gives it to MLflow."""
    import mlflow.pyfunc

    with _package(folder, card) as package:
        mlflow.pyfunc.save_model(str(out), **package)


@contextmanager
def _package(folder: Path, card: str) -> Iterator[dict[str, Any]]:
    """Yield the arguments of MLflow's pyfunc flavour; the files that they name last as long as the block."""
    files = needed_files(_ENTRY)
    channels = {name: sensor["channels"] for name, sensor in read_json(folder / "model.json")["sensors"].items()}
    # MLflow warns that there is no input example to infer a signature from; the signature is given.
    with tempfile.TemporaryDirectory() as aside, warnings.catch_warnings(record=True):
        code, page = Path(aside) / "code", Path(aside) / CARD
        page.write_text(card, encoding="utf-8")
        yield {
            "python_model": str(PACKAGE / "adapters/mlflow_pyfunc.py"),
            "artifacts": {_NAME: str(folder), "card": str(page)},
            "code_paths": [str(copy_code(files, code))],
            "signature": _signature(channels),
            "pip_requirements": requirements(files),
            "model_config": {"model_sha256": hash_model(folder)},
        }


def _signature(channels: Mapping[str, int]) -> "ModelSignature":
    """Describe a request and an answer, for people and for MLflow's pages.

    Args:
        channels: {sensor: C}.

    Returns:
        In: an optional column for each sensor, an image (C, H, W). Out: the columns of an answer; see
        `serving.requests.predict_request`.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array, Map

    image = Array(Array(Array(DataType.double)))
    pixels = Array(Array(DataType.double))
    signature = ModelSignature(
        inputs=Schema([ColSpec(image, name, required=False) for name in sorted(channels)]),
        outputs=Schema(
            [
                ColSpec(Array(Array(DataType.integer)), "labels"),
                ColSpec(DataType.double, "confidence"),
                ColSpec(pixels, "confidence_map", required=False),
                ColSpec(Array(DataType.string), "used"),
                ColSpec(Map(DataType.string), "left_out"),
                ColSpec(Map(DataType.string), "failing"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("without", DataType.string, [], (-1,)),
                ParamSpec("confidence", DataType.string, "mean"),
                ParamSpec("encoding", DataType.string, "array"),
                ParamSpec("monitor", DataType.string, "auto"),
                ParamSpec("consecutive", DataType.boolean, False),
            ]
        ),
    )
    # MLflow's own check would drop an unknown sensor in silence, and repeat the data in its errors. This flag, which
    # it sets for models that check requests themselves, leaves the check to `serving.requests`.
    signature._is_signature_from_type_hint = True
    return signature
