"""The ledger of frames set aside: a table that only grows. Frames are moved by reference, raw data is never touched."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from sensorproof.data.batch import LABEL
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.files import atomic_file

LEDGER = "ledger.csv"
LOCK = "quarantine"
"""Name of the lock (see sensorproof.locks) to hold from reading the ledger to appending to it."""
_Action = Literal["quarantined", "released", "cleared", "refused", "accepted"]
_UNUSABLE = {"unreadable": None, "sensors": None, "label_unknown_share": None, "invalid_share": 1.0, "wrong_size": None}
"""Measures, and the value from which on a frame is of no use to anybody; None for any. A size only of a label."""
Key = tuple[str, str, str]
"""Frame id, sensor, measure."""
_Released = dict[Key, tuple[float, float]]
"""What a person has let pass: the value at that time, and its threshold; NaN where the ledger does not say."""


@dataclass(frozen=True)
class Entry:
    """One line: what happened to a frame, or (without frame_id) to a whole batch.

    quarantined: a measure failed. released: a person let the frame pass in spite of it, until it gets worse or is
    cleared. cleared: the measure no longer fails, as the file or params changed. refused, accepted: the whole batch.
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
        return (self.frame_id, self.sensor, self.measure)


HEADER = [f.name for f in fields(Entry)]


def now() -> str:
    """The time of an entry."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_ledger(folder: Path) -> list[Entry]:
    """All entries, oldest first; none where there is no ledger yet.

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
        raise SensorproofError(path, "has another header than a ledger", fix)
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(HEADER) or line[1] not in get_args(_Action):
            raise SensorproofError(path, f"line {number} is no entry", fix)
    return [Entry(*line) for line in lines[1:]]  # type: ignore[arg-type]


def append(folder: Path, entries: Sequence[Entry]) -> None:
    """Add entries, all or none of them. Call it under the lock LOCK. Without entries the file is left as it is."""
    if not entries:
        return
    path = folder / LEDGER
    before = path.read_bytes() if path.exists() else to_csv([HEADER]).encode()
    with atomic_file(path) as temporary:
        temporary.write_bytes(before + to_csv(astuple(_one_line(entry)) for entry in entries).encode())


def _one_line(entry: Entry) -> Entry:
    """The entry with what people write brought to one line; names stay as they are."""
    return replace(entry, reason=" ".join(entry.reason.split()), by=" ".join(entry.by.split()))


def to_csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def last_actions(entries: Iterable[Entry], batch: str) -> dict[Key, Entry]:
    """The latest entry of every frame, sensor and measure of a batch; that of the batch as a whole at ("", "", "")."""
    return {entry.key: entry for entry in entries if entry.batch == batch}


def standing(entries: Iterable[Entry], batch: str | None = None) -> list[Entry]:
    """The entries by which frames are set aside at present, in the order of the ledger."""
    last = {(entry.batch, *entry.key): entry for entry in entries if batch in (None, entry.batch)}
    return [entry for entry in last.values() if entry.action == "quarantined"]


def released(entries: Iterable[Entry], batch: str) -> _Released:
    """What a person has released, and nothing has happened to since."""
    return {
        key: (number(entry.value), number(entry.threshold))
        for key, entry in last_actions(entries, batch).items()
        if entry.action == "released"
    }


def number(text: str) -> float:
    """A cell of the ledger; NaN where it is empty or no number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def is_unusable(sensor: str, measure: str, value: float) -> bool:
    """Whether a frame cannot be trained on, whatever a person says: preparation would leave it out without a word."""
    if measure not in _UNUSABLE or (measure == "wrong_size" and sensor != LABEL):
        return False
    least = _UNUSABLE[measure]
    return least is None or not value < least


def release(
    entries: Sequence[Entry], batch: str, frames: Sequence[str], sensor: str, measure: str, reason: str, by: str
) -> list[Entry]:
    """The entries that let frames pass from now on.

    Args:
        entries: the ledger.
        frames: ids; empty for all of the batch.
        sensor, measure: only what these found; empty for anything.

    Raises:
        UsageError: a frame is not set aside, or is of no use to anybody (see UNUSABLE).
    """
    chosen = [
        entry
        for entry in standing(entries, batch)
        if (not frames or entry.frame_id in frames) and sensor in ("", entry.sensor) and measure in ("", entry.measure)
    ]
    missing = sorted(set(frames) - {entry.frame_id for entry in chosen})
    if missing or not chosen:
        what = f"frame {missing[0]!r} of batch {batch!r}" if missing else f"batch {batch!r}"
        raise UsageError(what, "has nothing to release", "see `sensorproof quarantine list`")
    for entry in chosen:
        if is_unusable(entry.sensor, entry.measure, number(entry.value)):
            fix = "mend the file, or release other frames by name"
            raise UsageError(f"{entry.frame_id} of {batch}", f"cannot be released: {entry.reason}", fix)
    time = now()
    return [replace(entry, time=time, action="released", reason=reason, by=by) for entry in chosen]
