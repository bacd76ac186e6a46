"""The mapping file of `sensorproof import arrays`: which array is which sensor, and what the frames are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from sensorproof.data.batch import BatchInfo, Calibration, Class, Name, Sensor, Text, check_claims
from sensorproof.errors import UsageError
from sensorproof.files import parse_yaml
from sensorproof.settings.strict_model import StrictModel, validate_document

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_FIELDS = ("sequence", "site", "condition", "split")
REFERENCE = re.compile(r"\{(\w+)\}")


class Times(StrictModel):
    """When frames were taken: an array of one stamp a frame, or a rate from the first frame on."""

    array: Text | None = None
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """Of the array."""
    rate_hz: PositiveFloat | None = None
    start_s: float = 0.0
    """Time of the first frame where there is a rate."""

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if (self.array is None) == (self.rate_hz is None):
            raise ValueError("give either array or rate_hz")
        return self


class SensorArray(Sensor):
    """A sensor as in batch.yaml, and the array that holds it: (N, H, W), or four dimensions as `layout` says."""

    array: Text
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    allow_nan: bool = False
    """Whether NaN and infinity mark invalid pixels; where they do not, one of them is an error."""
    times: Times | None = None
    """Where they differ from the frames' own."""
    nodata: float | None = None
    calibration: Calibration | None = None


class _LabelArray(StrictModel):
    """The label: (N, H, W), integers. `values` says which class an id of the array is; others stay as they are."""

    array: Text
    values: dict[int, Annotated[int, Field(ge=0, le=255)]] = Field(default_factory=dict)


class Rule(StrictModel):
    """What frames are whose name matches, from the first letter to the last.

    `sequence`, `site`, `condition` and `split` are text in which {group} stands for a named group of the pattern;
    one that is not given is the group of that name, if there is one.
    """

    match: str
    sequence: str | None = None
    site: str | None = None
    condition: str | None = None
    split: str | None = None
    labelled: bool = True
    """False: the frames' labels are not used."""
    leave_out: bool = False
    """True: the frames do not enter the batch."""

    @model_validator(mode="after")
    def _refers_to_its_groups(self) -> Self:
        try:
            groups = re.compile(self.match).groupindex
        except re.error as error:
            raise ValueError(f"match is no regular expression ({error})") from error
        for field in _FIELDS:
            if unknown := set(REFERENCE.findall(getattr(self, field) or "")) - set(groups):
                raise ValueError(f"{field} refers to {sorted(unknown)}, which match does not name")
        return self


class Frames(StrictModel):
    """Names of the frames, and rules of which the first that matches a name decides."""

    names: Text | None = None
    """An array of N texts or integers; without it the frames are counted from 000000."""
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()


class Mapping(StrictModel):
    """The whole file. What is not said here is as in batch.yaml."""

    classes: Annotated[tuple[Class, ...], Field(min_length=2, strict=False)]
    ignore_index: Annotated[int, Field(ge=0, le=255)]
    reference: str
    sensors: Annotated[dict[Name, SensorArray], Field(min_length=1)]
    label: _LabelArray | None = None
    frames: Frames = Frames()
    times: Times

    @model_validator(mode="after")
    def _makes_a_batch(self) -> Self:
        check_claims(self.classes, self.ignore_index, self.reference, list(self.sensors))
        return self

    def batch_info(self, name: str) -> BatchInfo:
        """The batch.yaml that this makes."""
        sensors = {
            key: Sensor(**each.model_dump(include=set(Sensor.model_fields))) for key, each in self.sensors.items()
        }
        return BatchInfo(
            name=name,
            classes=self.classes,
            ignore_index=self.ignore_index,
            reference=self.reference,
            sensors=sensors,
        )

    def arrays(self) -> list[str]:
        """Every array that the import reads, once."""
        times = [self.times, *(s.times for s in self.sensors.values() if s.times)]
        found = [*(s.array for s in self.sensors.values()), self.frames.names, *(t.array for t in times)]
        found += [self.label.array] if self.label else []
        return list(dict.fromkeys(name for name in found if name))


@dataclass(frozen=True)
class FrameRole:
    """What the rules make of one frame."""

    sequence: str = "all"
    site: str = "all"
    condition: str = ""
    split: str = ""
    labelled: bool = True
    leave_out: bool = False


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file; UsageError names every faulty key at once."""
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(path, f"cannot be read ({error})", "give a YAML file; see docs/data-format.md") from error
    return validate_document(Mapping, document, path, UsageError)


def role_of(name: str, rules: Iterable[Rule]) -> FrameRole | None:
    """The role of a frame by the first rule that matches its name; None where there are rules and none matches."""
    rules = tuple(rules)
    if not rules:
        return FrameRole()
    for rule in rules:
        found = re.fullmatch(rule.match, name)
        if found is None:
            continue
        groups = {group: text or "" for group, text in found.groupdict().items()}
        said = {field: groups[field] for field in _FIELDS if field in groups}
        said |= {field: filled(text, groups) for field in _FIELDS if (text := getattr(rule, field)) is not None}
        said.setdefault("site", "all")
        said.setdefault("sequence", said["site"])
        return FrameRole(**said, labelled=rule.labelled, leave_out=rule.leave_out)
    return None


def filled(template: str, groups: dict[str, str]) -> str:
    """A template with the text of its groups."""
    return REFERENCE.sub(lambda reference: groups[reference[1]], template)
