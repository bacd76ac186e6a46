"""Render the page of a validation: self-contained, without scripts; one link leads to the Data Docs beside it."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensorproof.documents.validation import BatchRecord
from sensorproof.reporting.environment import environment

_STATES = {"accepted": "yes", "refused": "no"}
_BATCH = "the batch as a whole"


@dataclass(frozen=True)
class RuleLine:
    """A rule and how many rows of the table break it."""

    text: str
    """The condition, what it means that it is broken, and the consequence."""
    scope: str
    """`frame` or `batch`."""
    severity: str
    """`critical` or `warning`."""
    broken: int
    sensors: tuple[str, ...]
    """The sensors that break it."""


@dataclass(frozen=True)
class FaultLine:
    """Frames that are quarantined for the same reason."""

    sensor: str
    reason: str
    frames: int
    example: str
    """Id of the first of them."""


@dataclass(frozen=True)
class SensorWarnings:
    """The warnings on one sensor."""

    sensor: str
    lines: tuple[str, ...]


def render_validation(
    record: BatchRecord, faults: Sequence[FaultLine], rules: Sequence[RuleLine], sheet: Path | None, docs: str
) -> str:
    """Return the page.

    Args:
        record: the verdict.
        faults: why frames are quarantined, the most frequent reason first.
        rules: all rules.
        sheet: the contact sheet, which becomes part of the page; None if there is none.
        docs: relative address of the Data Docs.
    """
    shown = None if sheet is None else base64.b64encode(sheet.read_bytes()).decode()
    return (
        environment()
        .get_template("validation.html")
        .render(
            record=record,
            state=_STATES[record.decision],
            title=_title(record),
            faults=faults,
            warnings=list(_by_sensor(record)),
            broken=[rule for rule in rules if rule.broken],
            kept=[rule for rule in rules if not rule.broken],
            sheet=shown,
            docs=docs,
        )
    )


def _title(record: BatchRecord) -> str:
    """Return the verdict as a headline."""
    frames = record.frames
    total = "1 frame" if frames.total == 1 else f"{frames.total:,} frames"
    if record.decision == "refused":
        return f"{record.batch} is refused: {record.reasons[0]}"
    if frames.quarantined:
        return f"{record.batch} is accepted, without {frames.quarantined:,} of its {total}"
    return f"{record.batch} is accepted, with all of its {total}"


def _by_sensor(record: BatchRecord) -> Iterator[SensorWarnings]:
    """Yield the warnings on each sensor, then those on the batch as a whole."""
    names = [*record.pairs, *(line.partition(":")[0] for line in record.warnings if ": " in line)]
    known = [name for name in dict.fromkeys(names) if " " not in name]
    rest = list(record.warnings)
    for name in known:
        own = [line for line in rest if line.startswith(f"{name}: ")]
        rest = [line for line in rest if line not in own]
        if own:
            yield SensorWarnings(name, tuple(line.removeprefix(f"{name}: ") for line in own))
    if rest:
        yield SensorWarnings(_BATCH, tuple(rest))
