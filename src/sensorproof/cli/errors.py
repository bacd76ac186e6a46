"""A user's fault is one line on standard error and an exit code; a traceback only with --debug."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sensorproof.errors import SensorproofError

P = ParamSpec("P")
T = TypeVar("T")


def report_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Print a SensorproofError or an OSError as one line and exit with its code, unless SENSORPROOF_DEBUG is set."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except SensorproofError as error:
            if os.environ.get("SENSORPROOF_DEBUG"):
                raise
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        except OSError as error:
            if os.environ.get("SENSORPROOF_DEBUG") or isinstance(error, BrokenPipeError):
                raise
            where = error.filename or "files"
            print(f"error: {where}: {error.strerror or error}; see to its place and permissions", file=sys.stderr)
            raise SystemExit(1) from None

    return wrapper
