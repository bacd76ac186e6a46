"""What an audit says in words: the verdict, how missing sensors were presented, and five lines for a terminal."""

from collections.abc import Iterator
from typing import Final

from sensorproof.documents.audit import AuditRecord
from sensorproof.reporting.formatting import join, points, subset_label

_PHRASES: Final = {
    "black": "goes black",
    "bright": "is over-exposed",
    "noise": "delivers noise",
    "dark": "goes dark",
    "frozen": "freezes",
    "other_frame": "shows another scene",
    "shifted": "is moved by an eighth of its width",
    "half_lost": "loses its lower half",
}
_VISIBLE = 0.05
"""Points below which a loss is 0.0."""


def verdict(record: AuditRecord) -> str:
    """Say in one sentence what the loss of one sensor costs, and what a failure costs that nobody declares."""
    parts = [part for part in (_absence(record), _failure(record)) if part]
    text = "; ".join(parts) or "The model was given one sensor"
    return f"{text[0].upper()}{text[1:]}."


def _absence(record: AuditRecord) -> str:
    """Say which single sensor the model misses most."""
    if record.full is None:
        reason = record.failed["+".join(record.sensors)]
        return f"with all sensors this model gives no answer that can be scored ({reason})"
    cases = {name: case for name in record.sensors if (case := record.absent(name)) is not None}
    if failed := {name: case.reason for name, case in cases.items() if case.score is None}:
        name, reason = next(iter(failed.items()))
        return f"without {name} this model gives no answer that can be scored ({reason})"
    losses = {name: record.full - case.score for name, case in cases.items() if case.score is not None}
    if not losses:
        return ""
    name = max(losses, key=lambda sensor: losses[sensor])
    if losses[name] < _VISIBLE:
        return "this model loses nothing without any single sensor"
    return f"without {name} this model loses {points(losses[name])} points"


def worst_failure(record: AuditRecord) -> tuple[str, str, float | None] | None:
    """Return sensor, failure and loss of the worst failure; a loss of None where the model gives no answer."""
    if record.full is None:
        return None
    losses = {
        (name, kind): record.loss(case.score)
        for name, broken in record.broken.items()
        for kind, case in broken.failures.items()
    }
    if not losses:
        return None
    (name, kind), loss = max(losses.items(), key=lambda entry: float("inf") if entry[1] is None else entry[1])
    return name, kind, loss


def _failure(record: AuditRecord) -> str:
    """Say which failure costs most if the model believes the sensor."""
    worst = worst_failure(record)
    if worst is None:
        return ""
    name, kind, loss = worst
    what = f"if the {name} {_PHRASES.get(kind, f'fails ({kind})')} and is believed"
    if loss is None:
        return f"{what}, it gives no answer that can be scored"
    if loss < _VISIBLE:
        return "a single sensor that fails and is believed costs nothing"
    return f"{what}, it loses {points(loss)}"


def how_missing(record: AuditRecord) -> str:
    """Say how missing sensors were presented, and why."""
    if record.missing == "drop":
        return "A missing sensor was left out: the model was called without it."
    what = {
        "zero": "A missing sensor was given as zeros in its own units, before whatever the model does to its inputs "
        "(the zero-filled protocol).",
        "mean": "A missing sensor was given as its mean over the batch.",
    }[record.missing]
    if record.missing_reason:
        return f"{what} The model cannot do without a sensor: {record.missing_reason}."
    return what


def subsets_scored(record: AuditRecord) -> str:
    """Say over how many subsets the mean is: `the 7 subsets`, `the 5 of 7 subsets with an answer`."""
    total, failed = len(record.subsets), len(record.failed)
    if failed:
        return f"the {total - failed} of {total} subsets with an answer"
    return "the only subset" if total == 1 else f"the {total} subsets"


def worst_subset(record: AuditRecord) -> str:
    """Name the worst subset that has a score."""
    known = {name: case.score for name, case in record.subsets.items() if case.score is not None}
    worst = min(known, key=lambda name: known[name])
    return subset_label(worst.split("+"), record.sensors)


def terminal_lines(record: AuditRecord) -> Iterator[str]:
    """Yield four lines for a terminal; the fifth names the page."""
    split = f", split {record.split}" if record.split else ""
    yield f"{record.model} ({record.kind}) on {record.batch}{split}: {record.frames} frames, {join(record.sensors)}"
    yield (
        f"mIoU {points(record.full)} with all sensors; over {subsets_scored(record)}: mean {points(record.mean)}, "
        f"worst {points(record.worst)} ({worst_subset(record)}), spread {points(record.spread)}"
    )
    yield verdict(record)
    yield how_missing(record)


def intervals_of(record: AuditRecord) -> str:
    """Say what the intervals are over, or that there is none."""
    if record.drawn < 2:
        return "One frame has no interval."
    return f"Intervals: {100 * record.confidence:g} %, over {record.drawn} {record.units}."
