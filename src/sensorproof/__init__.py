"""Train multi-sensor segmentation models that keep working when a sensor fails, and prove it.

The names listed here are the public interface, and so are those in the reference of the documentation. Everything else
is internal and may change without notice. Names load when they are first used: `import sensorproof` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorproof.auditing import audit, evaluate
    from sensorproof.data.batch import read_batch, write_batch
    from sensorproof.errors import SensorproofError
    from sensorproof.loading import load_model
    from sensorproof.models.segmenter import Segmenter
    from sensorproof.regularization.functional_entropy import FunctionalEntropy
    from sensorproof.serving.predictor import Predictor
    from sensorproof.settings import load_settings
    from sensorproof.validation import validate_batch

__version__ = "0.1.0"
__all__ = [
    "FunctionalEntropy",
    "Predictor",
    "Segmenter",
    "SensorproofError",
    "audit",
    "evaluate",
    "load_model",
    "load_settings",
    "read_batch",
    "validate_batch",
    "write_batch",
]
_HOMES = {
    "FunctionalEntropy": "regularization.functional_entropy",
    "Predictor": "serving.predictor",
    "Segmenter": "models.segmenter",
    "SensorproofError": "errors",
    "audit": "auditing",
    "evaluate": "auditing",
    "load_model": "loading",
    "load_settings": "settings",
    "read_batch": "data.batch",
    "validate_batch": "validation",
    "write_batch": "data.batch",
}
"""{public name: the module that defines it}."""


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*globals(), *__all__])
