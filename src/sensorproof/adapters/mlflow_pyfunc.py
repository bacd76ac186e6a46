"""The packaged model as MLflow serves it. MLflow copies this file into the model and runs it there: no pickle.

Nothing imports this module. The model also contains our own code and the model folder (JSON and safetensors).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel
from numpy.typing import NDArray

from sensorproof.errors import UsageError

if TYPE_CHECKING:
    from sensorproof.serving.predictor import Predictor


class _Serving:
    """Segmentation of {sensor: (B, C, H, W)} in the sensors' own units into class ids (B, H, W).

    NaN marks a missing pixel. A sensor that is all NaN in a sample, at any size, is absent there. The parameter
    `without` names sensors to leave out of every sample. The label maps have the size of the reference sensor; in a
    call without it, that of the largest sensor.
    """

    predictor: "Predictor"

    def load_context(self, context: Any) -> None:
        """Load the model folder."""
        from sensorproof.serving.predictor import load_predictor  # torch loads slowly, and logging needs none

        self.predictor = load_predictor(Path(context.artifacts["model"]))

    def predict(
        self, context: Any, model_input: Mapping[str, NDArray], params: Mapping[str, Any] | None = None
    ) -> NDArray[np.uint8]:
        """Segment one batch; see the class."""
        left_out = self.predictor.check_without((params or {}).get("without") or [])
        kept = {name: pixels for name, pixels in model_input.items() if name not in left_out}
        counts = {name: len(pixels) for name, pixels in model_input.items()}
        if len(set(counts.values())) != 1:
            raise UsageError("inputs", f"differ in their number of samples: {counts}", "give each sensor the same")
        frames = [{name: pixels[row] for name, pixels in kept.items()} for row in range(next(iter(counts.values())))]
        valid = {name: pixels[0] for name, pixels in kept.items() if np.isfinite(pixels).any()}
        size = self.predictor.natural_size(valid) if valid else None
        return np.stack([prediction.labels for prediction in self.predictor.predict(frames, size)])


class _PackagedModel(_Serving, PythonModel):
    """Serving as a PythonModel. `predict` comes from a plain class, as MLflow would infer a schema from its hints."""


set_model(_PackagedModel())
