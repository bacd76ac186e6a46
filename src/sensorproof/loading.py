"""Load a model from a folder or from the registry."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensorproof.serving.predictor import Predictor, load_predictor


def load_model(source: str | Path, device: str = "auto") -> Predictor:
    """Load a model for prediction.

    See also `sensorproof.models.storage.load_model`: the network alone, from a folder.

    Args:
        source: a model folder (model.json and model.safetensors, such as `artifacts/train/<arm>/<seed>/model`), or an
            address in the MLflow registry: `models:/sensorproof@champion` or `models:/sensorproof/3`. The registry is
            that of MLFLOW_TRACKING_URI, by default `sqlite:///mlflow.db`.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        UsageError: the address means nothing, or the device is unknown or not there.
        SensorproofError: the folder does not hold a whole model, or files have changed since they were registered.

    Examples:
        >>> from sensorproof import load_model
        >>> load_model("model", device="cpu").sensors
        ('camera', 'depth')
    """
    with open_model_folder(source) as folder:
        return load_predictor(folder, device)


@contextmanager
def open_model_folder(source: str | Path) -> Iterator[Path]:
    """Yield the folder of a model for as long as the block lasts; see `load_model` for what it may be.

    Raises:
        UsageError: the address means nothing.
        SensorproofError: files have changed since they were registered.
    """
    if not str(source).startswith("models:"):
        yield Path(source)
        return
    from sensorproof.adapters.mlflow import connect
    from sensorproof.adapters.mlflow_registry import ModelUri

    address = ModelUri.parse(str(source))
    with tempfile.TemporaryDirectory() as folder:
        with connect(create=False) as connection:
            fetched = address.fetch(connection, Path(folder))
        yield fetched
