"""What the project raises when the user's input or a candidate is at fault, and the exit code of each."""

from pathlib import Path
from typing import Self

EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_REFUSED = 4


class SensorproofError(Exception):
    """A fault that the user can mend. Its text is one line: what is at fault, the fault, the fix.

    Args:
        where: the file, key or argument at fault.
        fault: what is wrong with it, with the offending value.
        fix: what to do about it.
    """

    exit_code = 1

    def __init__(self, where: str | Path, fault: str, fix: str) -> None:
        self.where, self.fault, self.fix = str(where), fault, fix
        super().__init__(" ".join(f"{where}: {fault}; {fix}".split()))

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """How it gets out of a process of a pool: without this, the pool would say that a process broke."""
        return type(self), (self.where, self.fault, self.fix)


class BatchError(SensorproofError):
    """A batch whose files do not bear out what batch.yaml and frames.csv claim."""


class SettingsError(SensorproofError):
    """A params.yaml that cannot be used. Its text names every faulty key at once."""

    exit_code = EXIT_USAGE


class UsageError(SensorproofError):
    """A call with arguments that make no sense together or that no part can serve."""

    exit_code = EXIT_USAGE


class RejectedError(SensorproofError):
    """A batch or a candidate that was judged and turned down; the reasons are in the text."""

    exit_code = EXIT_REFUSED
