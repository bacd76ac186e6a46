"""Import `module:callable`."""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from sensorproof.auditing.models import AnyModel, describe_error
from sensorproof.errors import SensorproofError, UsageError


def load_function(module: str, name: str) -> AnyModel:
    """Import a module, from the working directory too, and return one of its callables.

    Raises:
        UsageError: there is no such module or callable.
        SensorproofError: the module cannot be imported.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    address = f"{module}:{name}"
    try:
        value: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever foreign code raises
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            fix = "run the command in its folder, or set PYTHONPATH"
            raise UsageError(address, f"there is no module {error.name}", fix) from error
        fix = f"make `python -c 'import {module}'` work"
        raise SensorproofError(address, f"the module cannot be imported ({describe_error(error)})", fix) from error
    for part in name.split("."):
        if not hasattr(value, part):
            raise UsageError(address, f"the module has no {name}", "name a function of it that takes {sensor: array}")
        value = getattr(value, part)
    if isinstance(value, type):
        raise UsageError(address, "is a class", "name an instance of it, or a function")
    if not callable(value):
        raise UsageError(address, f"is {type(value).__name__}, not callable", "name a function or an nn.Module")
    return value
