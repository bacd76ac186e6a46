"""The base of all documents: read with a check of every key, written whole or not at all."""

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.settings.strict_model import describe_fault

SHOWN = 3
"""Faults of a document that an error names."""


class Document(BaseModel):
    """A JSON document or a part of one: frozen, strict about types, closed to unknown keys.

    Numbers may be NaN or infinite: whether a score is finite is for the gates to say, which name it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants")
    fix: ClassVar[str] = "run `dvc repro`"
    """What a user can do about a faulty file."""

    @classmethod
    def parse(cls, document: Any, where: str | Path) -> Self:
        """Validate a document that has already been read.

        Args:
            document: as JSON gives it.
            where: where it comes from, for the message.

        Raises:
            SensorproofError: a key is missing, unknown or of another type.
        """
        try:
            return cls.model_validate(document, strict=False)
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, e['loc'])) or 'document'}: {describe_fault(e)}" for e in error.errors()]
            more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
            raise SensorproofError(where, "; ".join(faults[:SHOWN]) + more, cls.fix) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a file.

        Raises:
            SensorproofError: the file is missing or not JSON, or see `parse`.
        """
        return cls.parse(read_json(path), path)

    def write(self, path: Path) -> None:
        """Write the document to a file, atomically."""
        write_json(path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds."""
        return self.model_dump()
