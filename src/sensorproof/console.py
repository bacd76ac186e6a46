"""Report errors: one line on standard error and an exit code; a traceback only with --debug."""

import functools
import os
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec, TypeVar

from sensorproof.errors import SensorproofError

P = ParamSpec("P")
T = TypeVar("T")
_EXTRAS = {
    **dict.fromkeys(("dvc", "great_expectations", "mlflow", "optuna", "prefect"), "pipeline"),
    **dict.fromkeys(("onnx", "onnxscript"), "export"),
    **dict.fromkeys(("h5py", "hdf5plugin"), "muses"),
}
"""{tool that is not part of the library: the extra that installs it}."""

_INTERRUPTED = 130
"""The exit code of a command that was ended by Ctrl-C, as shells have it."""


def report_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function print the user's errors as one line and exit with their code.

    These are SensorproofError, OSError, a tool of an extra that is not installed, and an interruption by the user. With
    SENSORPROOF_DEBUG set they are raised.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except SensorproofError as error:
            _exit(error, str(error), error.exit_code)
        except ModuleNotFoundError as error:
            tool = (error.name or "").split(".")[0]
            if tool not in _EXTRAS:
                raise
            _exit(error, f'{tool} is not installed; run `pip install "sensorproof[{_EXTRAS[tool]}]"`', 1)
        except KeyboardInterrupt as error:
            _exit(error, "interrupted; run the same command again", _INTERRUPTED)
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            _exit(error, f"{error.filename or 'files'}: {reason}; check the path and its permissions", 1)

    return wrapper


def _exit(error: BaseException, line: str, code: int) -> NoReturn:
    """Print a line and exit, or raise the error itself with SENSORPROOF_DEBUG."""
    if os.environ.get("SENSORPROOF_DEBUG"):
        raise error
    print(f"error: {line}", file=sys.stderr)
    raise SystemExit(code) from None
