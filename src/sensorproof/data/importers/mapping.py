"""The mapping file of `sensorproof import arrays`: which array is which sensor, and the roles of the frames."""

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
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Times(StrictModel):
    """When frames were taken: an array with one timestamp a frame, or a constant rate."""

    array: Text | None = None
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """Of the array."""
    rate_hz: PositiveFloat | None = None
    """Frames a second, all at the same distance."""
    start_s: float = 0.0
    """Time of the first frame, with a rate."""

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if (self.array is None) == (self.rate_hz is None):
            raise ValueError("give either array or rate_hz")
        return self


class SensorArray(Sensor):
    """A sensor as in batch.yaml, and its array: (N, H, W), or four dimensions in the order of `layout`."""

    array: Text
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    allow_nan: bool = False
    """Whether NaN and infinity mark invalid pixels; if not, they are an error."""
    times: Times | None = None
    """The sensor's own times, if they differ from the frames'."""
    nodata: float | None = None
    calibration: Calibration | None = None


class _LabelArray(StrictModel):
    """The label: (N, H, W), integers."""

    array: Text
    values: dict[int, Annotated[int, Field(ge=0, le=255)]] = Field(default_factory=dict)
    """{value in the array: class id}; values that are not listed stay as they are."""


class Rule(StrictModel):
    """The role of the frames whose whole name matches a pattern.

    `sequence`, `site`, `condition` and `split` are text in which {group} stands for a named group of the pattern. One
    that is not given is the group of the same name, if there is one.
    """

    match: str
    """A regular expression."""
    sequence: str | None = None
    site: str | None = None
    condition: str | None = None
    split: str | None = None
    labelled: bool = True
    """Whether the frames' labels are used."""
    leave_out: bool = False
    """Whether the frames are left out of the batch."""

    @model_validator(mode="after")
    def _refers_to_its_groups(self) -> Self:
        try:
            groups = re.compile(self.match).groupindex
        except re.error as error:
            raise ValueError(f"match is not a regular expression ({error})") from error
        for field in _FIELDS:
            if unknown := set(_PLACEHOLDER.findall(getattr(self, field) or "")) - set(groups):
                raise ValueError(f"{field} refers to {sorted(unknown)}, which match does not name")
        return self


class Frames(StrictModel):
    """Names of the frames, and rules for them: the first that matches a name decides."""

    names: Text | None = None
    """An array of N texts or integers; without it the frames are numbered from 000000."""
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()


class Mapping(StrictModel):
    """The whole mapping file. Keys without a description are as in batch.yaml."""

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
        """Return the content of batch.yaml for a batch of this name."""
        sensors = {
            name: Sensor(**{key: getattr(sensor, key) for key in Sensor.model_fields})
            for name, sensor in self.sensors.items()
        }
        return BatchInfo(
            name=name,
            classes=self.classes,
            ignore_index=self.ignore_index,
            reference=self.reference,
            sensors=sensors,
        )

    def arrays(self) -> list[str]:
        """Return the names of all arrays that the import reads, each once."""
        sensors = self.sensors.values()
        times = [self.times, *(sensor.times for sensor in sensors if sensor.times)]
        names = [*(sensor.array for sensor in sensors), self.frames.names, *(each.array for each in times)]
        names += [self.label.array] if self.label else []
        return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True)
class FrameRole:
    """What the rules say of one frame."""

    sequence: str = "all"
    site: str = "all"
    condition: str = ""
    split: str = ""
    labelled: bool = True
    leave_out: bool = False


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        UsageError: it is missing, not YAML, or has faulty keys; the message names all of them.
    """
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            path, f"cannot be read ({error})", "give a YAML file; see docs/reference/data-format.md"
        ) from error
    return validate_document(Mapping, document, path, UsageError)


def role_of(name: str, rules: Iterable[Rule]) -> FrameRole | None:
    """Return the role of a frame by the first rule that matches its name; None if there are rules and none matches."""
    rules = tuple(rules)
    if not rules:
        return FrameRole()
    for rule in rules:
        match = re.fullmatch(rule.match, name)
        if match is None:
            continue
        groups = {group: text or "" for group, text in match.groupdict().items()}
        texts = {field: groups[field] for field in _FIELDS if field in groups}
        texts |= {field: _fill(text, groups) for field in _FIELDS if (text := getattr(rule, field)) is not None}
        texts.setdefault("site", "all")
        texts.setdefault("sequence", texts["site"])
        return FrameRole(**texts, labelled=rule.labelled, leave_out=rule.leave_out)
    return None


def _fill(template: str, groups: dict[str, str]) -> str:
    """Replace each {group} of a template by the text of that group."""
    return _PLACEHOLDER.sub(lambda placeholder: groups[placeholder[1]], template)
