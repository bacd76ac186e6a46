"""The identity of a model folder: what was judged is what is registered, promoted and served."""

from pathlib import Path

from sensorproof.errors import SensorproofError
from sensorproof.files import hash_file, hash_json

_FILES = ("model.json", "model.safetensors")
"""All that a model folder holds."""


def hash_model(folder: Path) -> str:
    """SHA-256 (hex) over the files of a model folder, read anew each time.

    Raises:
        SensorproofError: a file is missing.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise SensorproofError(folder / name, "is missing", "give a folder that `dvc repro` or the registry wrote")
    return hash_json({name: hash_file(folder / name) for name in _FILES})
