"""What the project raises when the user's input or a candidate is at fault, and the exit code of each."""

from pathlib import Path
from typing import Self

EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_REFUSED = 4


class SensorproofError(Exception):
    """A fault that the user can fix. Its text is one line: where, what is wrong, the fix.

    Args:
        where: the file, key or argument at fault.
        fault: what is wrong with it, with the offending value.
        fix: what to do about it.

    Examples:
        >>> from sensorproof import SensorproofError, read_batch
        >>> try:
        ...     read_batch("nowhere")
        ... except SensorproofError as error:
        ...     print(error)
        nowhere/batch.yaml: is missing; a batch is a folder with batch.yaml and frames.csv
    """

    exit_code = 1
    """What a command ends with."""

    def __init__(self, where: str | Path, fault: str, fix: str) -> None:
        self.where, self.fault, self.fix = str(where), fault, fix
        super().__init__(" ".join(f"{where}: {fault}; {fix}".split()))

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, str]]:
        """Pickle by the three arguments; otherwise a process pool cannot rebuild the error and breaks."""
        return type(self), (self.where, self.fault, self.fix)


class BatchError(SensorproofError):
    """A batch whose files do not hold what batch.yaml and frames.csv claim."""


class SettingsError(SensorproofError):
    """A params.yaml that cannot be used. Its text names every faulty key at once."""

    exit_code = EXIT_USAGE


class UsageError(SensorproofError, ValueError):
    """A call with arguments that are wrong, or that contradict one another."""

    exit_code = EXIT_USAGE


class RejectedError(SensorproofError):
    """A batch or a candidate that was checked and refused; the reasons are in the text."""

    exit_code = EXIT_REFUSED


class DivergedError(SensorproofError):
    """A training whose loss, logits or features are no longer finite."""


class ModelError(UsageError):
    """A model under audit that gives no answer that can be scored; not the fault of how the command was called."""

    exit_code = 1
