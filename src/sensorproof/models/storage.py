"""Save and load a model: a folder with model.json and model.safetensors. No pickle is written or read."""

from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sensorproof.errors import SensorproofError
from sensorproof.files import atomic_folder, read_json, write_json
from sensorproof.models.description import ModelDescription
from sensorproof.models.segmenter import Segmenter, build_model

FIX = "give a folder that `dvc repro` or the registry wrote"


def save_model(model: Segmenter, description: ModelDescription, folder: Path) -> None:
    """Write a model folder atomically, in place of what was there."""
    with atomic_folder(folder) as temporary:
        write_json(temporary / "model.json", description.model_dump(mode="json"))
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        save_file(tensors, temporary / "model.safetensors")


def load_description(folder: Path) -> ModelDescription:
    """Read model.json."""
    document = read_json(folder / "model.json")
    try:
        return ModelDescription.model_validate(document, strict=False)
    except ValidationError as error:
        raise SensorproofError(folder / "model.json", f"is not a model's description ({error})", FIX) from error


def load_model(folder: Path) -> tuple[Segmenter, ModelDescription]:
    """Load a model, in evaluation mode and on the CPU, with its description.

    See also `sensorproof.loading.load_model`: the public one, for prediction, and from the registry too.

    Raises:
        SensorproofError: a file is missing, broken, or does not fit the other.
    """
    description = load_description(folder)
    model = build_model(description)
    file = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise SensorproofError(file, f"cannot be loaded ({error})", FIX) from error
    return model.eval(), description
