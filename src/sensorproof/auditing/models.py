"""What is audited: a model of any kind as one function of sensor arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sensorproof.data.batch import Batch
from sensorproof.errors import ModelError
from sensorproof.serving.predictor import Predictor, check_fits

Images = Mapping[str, NDArray[np.float32]]
Size = tuple[int, ...]
AnyModel = Callable[[dict[str, Any]], Any]
"""Maps {sensor: (C, h, w) float32 array, NaN where invalid} to logits (K, H, W), or to class ids (H, W) of integers.
An `nn.Module` gets tensors (1, C, h, w) instead and returns logits (1, K, H, W)."""
_LONGEST = 100


def _accept(batch: Batch) -> None:
    """Accept any batch."""


@dataclass(frozen=True)
class AuditedModel:
    """A model as one function."""

    name: str
    """As the user gave it."""
    kind: str
    """What it is, in a few words."""
    answer: Callable[[dict[str, NDArray[np.float32]], Size], Any]
    """Maps {sensor: (C, h, w)} and the label's size to logits (K, H, W) or class ids (H, W)."""
    sensors: tuple[str, ...] | None = None
    """Those that it knows; None if it takes what it is given."""
    check: Callable[[Batch], None] = _accept
    """Raises SensorproofError if a batch does not fit."""

    def places(self, images: Images, ids: NDArray[np.int64], size: Size) -> NDArray[np.int64] | ModelError:
        """Answer one frame; an answer that cannot be scored is returned as an error, never raised.

        Args:
            images: {sensor: (C, h, w)}. The model gets copies, as it may change what it is given.
            ids: (K,) of the classes.
            size: (H, W) of the label.

        Returns:
            (H, W) places in `classes`, -1 for an id that is no class.
        """
        try:
            answer = self.answer({name: pixels.copy() for name, pixels in images.items()}, size)
            return to_places(to_array(answer), ids, size)
        except ModelError as error:
            return error
        except (Exception, SystemExit) as error:  # whatever a foreign model raises is its answer
            return ModelError("model", f"raises {describe_error(error)}", "run it on one frame by hand to see why")


def wrap_model(model: AnyModel | Predictor) -> AuditedModel:
    """Wrap a model that is there as an object."""
    if isinstance(model, Predictor):
        predictor = model

        def predict(images: dict[str, Any], size: Size) -> NDArray[np.uint8]:
            (prediction,) = predictor.predict([images], (size[0], size[1]), monitor="off")
            return prediction.labels

        kind = "a model of Sensorproof, its monitor off"
        return AuditedModel("model", kind, predict, predictor.sensors, lambda batch: check_fits(predictor, batch))
    name = getattr(model, "__qualname__", type(model).__qualname__)
    if isinstance(model, nn.Module):
        module = model
        return AuditedModel(name, "a torch module", lambda images, size: _run_module(module, images))
    function = model
    return AuditedModel(name, "a function", lambda images, size: function(images))


def _run_module(module: nn.Module, images: Images) -> Any:
    """Give a module tensors with a batch of one; invalid pixels become 0."""
    parameter = next(module.parameters(), torch.zeros(()))
    tensors = {name: torch.from_numpy(np.nan_to_num(x)).to(parameter.device)[None] for name, x in images.items()}
    with torch.inference_mode():
        return module.eval()(tensors)[0]


def to_array(answer: Any) -> NDArray[Any]:
    """Return a tensor or any nested numbers as an array."""
    return answer.detach().cpu().numpy() if isinstance(answer, Tensor) else np.asarray(answer)


def to_places(answer: NDArray[Any], ids: NDArray[np.int64], size: Size) -> NDArray[np.int64]:
    """Turn logits or class ids into places in `classes` at the label's size; -1 for an id that is no class.

    Args:
        answer: (K, H, W) or (H, W).
        ids: (K,), each at most 255.
        size: (H, W).

    Raises:
        ModelError: the answer has another form or size, or a number in it is not finite.
    """
    if answer.ndim == 3 and answer.shape[0] == len(ids) and answer.dtype.kind in "biuf":
        if not np.isfinite(answer).all():
            raise ModelError("model", "answers with NaN or infinite logits", _form(ids))
        places = answer.argmax(0)
    elif answer.ndim == 2 and answer.dtype.kind in "biu":
        lookup = np.full(256, -1)
        lookup[ids] = np.arange(len(ids))
        values = answer.astype(np.int64)
        places = np.where((values >= 0) & (values < len(lookup)), lookup[np.clip(values, 0, len(lookup) - 1)], -1)
    else:
        raise ModelError("model", f"answers with {answer.dtype} of shape {answer.shape}", _form(ids))
    if places.shape != size:
        fault = f"answers at {places.shape[0]} x {places.shape[1]}, the label has {size[0]} x {size[1]}"
        raise ModelError("model", fault, "return the answer at the size of the reference sensor")
    return places


def _form(ids: NDArray[np.int64]) -> str:
    """Say what an answer should be."""
    return f"return finite logits ({len(ids)}, height, width) or class ids (height, width) of an integer type"


def describe_error(error: BaseException) -> str:
    """Return the kind of an error and the start of its text, on one line."""
    text = " ".join(str(error).split()).rstrip(".")
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
