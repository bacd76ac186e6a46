"""The base of all documents: every key is checked on reading; a file is written whole or not at all."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.settings.strict_model import describe_fault

_MOST_FAULTS = 3
"""How many faults of a document an error names."""


class Document(BaseModel):
    """A JSON document or a part of one: frozen, strict about types, closed to unknown keys.

    Numbers may be NaN or infinite: the gates decide whether a score is finite, and name the one that is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants")
    fix: ClassVar[str] = "run `dvc repro`"
    """What a user can do about a faulty file."""

    @classmethod
    def parse(cls, document: Any, where: str | Path) -> Self:
        """Validate a document that has already been read.

        Args:
            document: plain values, as read from JSON.
            where: the file or artifact it comes from, for the message.

        Raises:
            SensorproofError: a key is missing, unknown or of another type.
        """
        try:
            # As JSON, because there a strict model accepts a list for a tuple.
            return cls.model_validate_json(json.dumps(document))
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, e['loc'])) or 'document'}: {describe_fault(e)}" for e in error.errors()]
            more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
            raise SensorproofError(where, "; ".join(faults[:_MOST_FAULTS]) + more, cls.fix) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a file.

        Raises:
            SensorproofError: the file is missing or not JSON, or see `parse`.
        """
        return cls.parse(read_json(path), path)

    def write(self, path: Path) -> None:
        """Write the document to a file, atomically.

        Raises:
            ValueError: a number is NaN or infinite, which JSON does not have.
        """
        write_json(path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the document as plain values, as the file holds it."""
        return self.model_dump(mode="json")
