"""The base of every typed document: closed, frozen and strict; and one message for all faults of a document."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from sensorproof.errors import SensorproofError

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
Fraction = Annotated[float, Field(ge=0, le=1)]


def distinct(values: list[T]) -> list[T]:
    """Refuse a list that repeats a value: a seed that counted twice would make an interval too narrow."""
    if len(set(values)) != len(values):
        raise ValueError("must not repeat")
    return values


Seeds = Annotated[list[NonNegativeInt], Field(min_length=1), AfterValidator(distinct)]


class StrictModel(BaseModel):
    """A typed document or a part of one: frozen, strict about types, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def validate_document(
    model: type[Model],
    document: Any,
    where: str | Path,
    error: type[SensorproofError],
    fix: str = "correct these keys",
) -> Model:
    """Validate a document that was read from YAML or JSON.

    Args:
        model: what the document must be.
        document: mappings, lists, text and numbers.
        where: the file, for the message.
        error: what to raise.
        fix: what the user can do about a fault.

    Raises:
        SensorproofError: `error`, which names every faulty key.
    """
    try:
        # As JSON, because there a strict model accepts a list for a tuple and text for a date.
        return model.model_validate_json(json.dumps(document, default=str))
    except TypeError as fault:
        raise error(where, f"has a key that is not text ({fault})", fix) from fault
    except ValidationError as invalid:
        # A fault between sections has no place of its own: it names the keys itself.
        faults = [": ".join(filter(None, (".".join(map(str, e["loc"])), describe_fault(e)))) for e in invalid.errors()]
        raise error(where, "; ".join(faults), fix) from invalid


def describe_fault(error: Any) -> str:
    """Describe one pydantic fault in a few words, with the offending value."""
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    # A fault between keys already names them; the whole section after it would add nothing.
    return message if isinstance(error["input"], dict) else f"{message}, got {error['input']!r:.80}"
