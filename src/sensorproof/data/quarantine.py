"""The ledger of frames in quarantine, a table that only grows. Frames stay where they are; raw data never changes."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from sensorproof.data.frame_table import LABEL
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.files import atomic_file

LEDGER = "ledger.csv"
LOCK = "quarantine"
"""Name of the lock (see sensorproof.locks) to hold between reading the ledger and appending to it."""
_Action = Literal["quarantined", "released", "cleared", "refused", "accepted"]
_UNUSABLE = {"unreadable": None, "sensors": None, "label_unknown_share": None, "invalid_share": 1.0, "wrong_size": None}
"""{measure: the value from which on a frame cannot be trained on, None for any value}; a wrong size only of a label."""
Key = tuple[str, str, str]
"""Frame id, sensor, measure."""
_Released = dict[Key, tuple[float, float]]
"""{what a person has released: the value at that time, and its threshold; NaN where the ledger has none}."""


@dataclass(frozen=True)
class Entry:
    """One line: what happened to a frame, or, without `frame_id`, to a whole batch.

    quarantined: a measure failed. released: a person lets the frame pass in spite of it, until its value gets worse or
    the entry is cleared. cleared: the measure no longer fails, because the file or params.yaml changed. refused,
    accepted: the whole batch.
    """

    time: str
    """UTC, ISO 8601."""
    action: _Action
    batch: str
    frame_id: str = ""
    sensor: str = ""
    measure: str = ""
    value: str = ""
    threshold: str = ""
    reason: str = ""
    by: str = ""
    """Who released it."""

    @property
    def key(self) -> Key:
        """What the entry is about, within its batch."""
        return (self.frame_id, self.sensor, self.measure)


HEADER = [f.name for f in fields(Entry)]


def now() -> str:
    """Return the time to write into an entry: UTC, ISO 8601, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_ledger(folder: Path) -> list[Entry]:
    """Read all entries, oldest first; none if there is no ledger yet.

    Args:
        folder: where the ledger is.

    Raises:
        SensorproofError: the ledger is not as it was written.
    """
    path = folder / LEDGER
    if not path.exists():
        return []
    fix = "restore it from a copy; it is only ever appended to"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file, strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise SensorproofError(path, f"cannot be read ({error})", fix) from error
    if not lines or lines[0] != HEADER:
        raise SensorproofError(path, "has another header than a ledger has", fix)
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(HEADER) or line[1] not in get_args(_Action):
            raise SensorproofError(path, f"line {number} is not an entry", fix)
    return [Entry(*line) for line in lines[1:]]  # type: ignore[arg-type]


def append(folder: Path, entries: Sequence[Entry]) -> None:
    """Append entries to the ledger, all or none of them, under the lock LOCK. No entries leave the file as it is."""
    if not entries:
        return
    path = folder / LEDGER
    before = path.read_bytes() if path.exists() else to_csv([HEADER]).encode()
    with atomic_file(path) as temporary:
        temporary.write_bytes(before + to_csv(astuple(_one_line(entry)) for entry in entries).encode())


def _one_line(entry: Entry) -> Entry:
    """Return the entry with the texts that people write on one line; names stay as they are."""
    return replace(entry, reason=" ".join(entry.reason.split()), by=" ".join(entry.by.split()))


def to_csv(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as lines of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def last_actions(entries: Iterable[Entry], batch: str) -> dict[Key, Entry]:
    """Return the latest entry of every frame, sensor and measure of a batch; of the whole batch at ("", "", "")."""
    return {entry.key: entry for entry in entries if entry.batch == batch}


def standing(entries: Iterable[Entry], batch: str | None = None) -> list[Entry]:
    """Return the entries that keep frames in quarantine now, in the order of the ledger.

    Args:
        entries: the ledger.
        batch: only of this batch, or None for all.
    """
    last = {(entry.batch, *entry.key): entry for entry in entries if batch in (None, entry.batch)}
    return [entry for entry in last.values() if entry.action == "quarantined"]


def released(entries: Iterable[Entry], batch: str) -> _Released:
    """Return what a person has released in a batch and what no later entry has changed."""
    return {
        key: (number(entry.value), number(entry.threshold))
        for key, entry in last_actions(entries, batch).items()
        if entry.action == "released"
    }


def number(text: str) -> float:
    """Return a cell of the ledger as a number; NaN if it is empty or not a number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def is_unusable(sensor: str, measure: str, value: float) -> bool:
    """Return whether a fault makes a frame unusable: stage prepare leaves it out, released or not."""
    if measure not in _UNUSABLE or (measure == "wrong_size" and sensor != LABEL):
        return False
    least = _UNUSABLE[measure]
    return least is None or not value < least


def release(
    entries: Sequence[Entry], batch: str, frames: Sequence[str], sensor: str, measure: str, reason: str, by: str
) -> list[Entry]:
    """Return the entries that release frames from quarantine.

    Args:
        entries: the ledger.
        batch: the name of the batch.
        frames: ids; empty for all frames of the batch.
        sensor: only what was found in this sensor; empty for any.
        measure: only what this measure found; empty for any.
        reason: why, for the ledger.
        by: who, for the ledger.

    Raises:
        UsageError: a frame is not in quarantine, or its fault makes it unusable.
    """
    selected = [
        entry
        for entry in standing(entries, batch)
        if (not frames or entry.frame_id in frames) and sensor in ("", entry.sensor) and measure in ("", entry.measure)
    ]
    missing = sorted(set(frames) - {entry.frame_id for entry in selected})
    if missing or not selected:
        where = f"frame {missing[0]!r} of batch {batch!r}" if missing else f"batch {batch!r}"
        raise UsageError(where, "has nothing to release", "see `sensorproof quarantine list`")
    for entry in selected:
        if is_unusable(entry.sensor, entry.measure, number(entry.value)):
            fix = "fix the file, or release other frames by name"
            raise UsageError(f"{entry.frame_id} of {batch}", f"cannot be released: {entry.reason}", fix)
    time = now()
    return [replace(entry, time=time, action="released", reason=reason, by=by) for entry in selected]
