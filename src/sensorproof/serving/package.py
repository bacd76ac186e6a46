"""The identity of a model folder: what was judged is what is registered, promoted and served."""

from pathlib import Path

from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.hashing import hash_files, hash_json
from sensorproof.monitoring.files import FILES

_FILES = ("model.json", "model.safetensors")
"""What every model folder holds; a monitor's files come to these (`monitoring.monitor.FILES`)."""


def hash_model(folder: Path) -> str:
    """SHA-256 (hex) over the files of a model folder, read again each time.

    Raises:
        SensorproofError: a file is missing.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise SensorproofError(folder / name, "is missing", "give a folder that `dvc repro` or the registry wrote")
    return hash_json(hash_files(folder, [*_FILES, *(name for name in FILES if (folder / name).exists())]))


def check_hash(folder: Path, registered: str) -> None:
    """Check that a model folder is the one that was registered.

    Raises:
        RejectedError: it is not.
    """
    if (actual := hash_model(folder)) != registered:
        fault = f"its files hash to {actual[:12]}…, registered were {registered[:12]}…"
        raise RejectedError(folder, fault, "register the model again; do not serve it")
