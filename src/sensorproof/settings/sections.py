"""What every part of params.yaml is made of: a closed, frozen section, ranges, and one message for all faults."""

import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sensorproof.errors import SensorproofError

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]


def distinct(values: list[T]) -> list[T]:
    """A seed or an arm that counted twice would feign certainty."""
    if len(set(values)) != len(values):
        raise ValueError("must not repeat")
    return values


Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(distinct)]


class Section(BaseModel):
    """A part of params.yaml: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def checked(model: type[Model], document: Any, where: str | Path, error: type[SensorproofError]) -> Model:
    """Check a document that was read from YAML against a model; raise `error`, which names every faulty key."""
    try:
        # As JSON, because there a strict model takes a list for a tuple and text for a date.
        return model.model_validate_json(json.dumps(document, default=str))
    except TypeError as fault:
        raise error(where, f"has a key that is no text ({fault})", "mend these keys") from fault
    except ValidationError as found:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'document'}: {describe(e)}" for e in found.errors()]
        raise error(where, "; ".join(faults), "mend these keys") from found


def describe(error: Any) -> str:
    """Say one pydantic fault in a few words, with the offending value."""
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    said = str(error["msg"]).removeprefix("Value error, ")
    # A fault between keys already says what is wrong; the whole section after it would say nothing more.
    return said if isinstance(error["input"], dict) else f"{said}, got {error['input']!r:.80}"
