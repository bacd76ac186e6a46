"""The packaged model as MLflow serves it. MLflow copies this file into the model and runs it there: no pickle.

Nothing imports this module. The model also contains our own code and the model folder (JSON and safetensors).
"""

import logging
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR
from mlflow.pyfunc.model import PythonModel

from sensorproof.errors import SensorproofError

if TYPE_CHECKING:
    from sensorproof.serving.predictor import Predictor

_LONGEST_ERROR = 300
_SERVER = "mlflow.pyfunc.scoring_server"


class _Serving:
    """Segmentation of frames, each with any non-empty subset of the sensors, into labels with their confidence.

    `sensorproof.serving.requests` describes requests, parameters and answers.
    """

    predictor: "Predictor"

    def load_context(self, context: Any) -> None:
        """Load the model folder, if its files are those that were registered."""
        from sensorproof.serving.package import check_hash
        from sensorproof.serving.predictor import load_predictor  # torch loads slowly, and logging needs none

        folder = Path(context.artifacts["model"])
        if registered := (context.model_config or {}).get("model_sha256"):
            check_hash(folder, registered)
        self.predictor = load_predictor(folder)
        _keep_server_errors_short()

    def predict(self, context: Any, model_input: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Answer a request; see the class."""
        from sensorproof.serving.requests import predict_request

        try:
            return predict_request(self.predictor, model_input, params)
        except SensorproofError as error:
            raise MlflowException(_shorten(str(error)), BAD_REQUEST) from None
        except Exception as error:
            logging.getLogger(__name__).exception("the prediction failed")
            fault = f"the prediction failed ({type(error).__name__}); see the log of the server"
            raise MlflowException(fault, INTERNAL_ERROR) from error


def _keep_server_errors_short() -> None:
    """Have MLflow's scoring server, where it runs this model, answer an error in one line.

    By itself it repeats the whole request before any error, and adds a stack trace to those that it did not expect.
    """
    server: Any = sys.modules.get(_SERVER)
    invocations: Callable[..., Any] | None = getattr(server, "invocations", None)
    if invocations is None or hasattr(invocations, "__wrapped__"):
        return

    @wraps(invocations)
    def answer(*args: Any, **kwargs: Any) -> Any:
        try:
            return invocations(*args, **kwargs)
        except MlflowException as error:
            line = _shorten(error.message.rsplit("\nError: ", 1)[-1].split("\nInput:", 1)[0])
            if "stack_trace" in error.json_kwargs:
                logging.getLogger(__name__).error(error.json_kwargs["stack_trace"])
            short = MlflowException(line)
            short.error_code = error.error_code
            raise short from None

    server.invocations = answer


def _shorten(text: str) -> str:
    """Make a message one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_ERROR else f"{line[: _LONGEST_ERROR - 1]}…"


class _PackagedModel(_Serving, PythonModel):
    """Serving as a PythonModel. `predict` comes from a plain class, as MLflow would infer a schema from its hints."""


set_model(_PackagedModel())
