"""The ledger of ingested batches: a line of JSON for each event, only ever appended to."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from sensorproof.documents.base import Document
from sensorproof.documents.lines import append_line, read_lines
from sensorproof.locks import locked

_LOCK = "ingestion-ledger"


class LedgerEntry(Document):
    """What happened to a batch."""

    time: str
    """ISO 8601, UTC."""
    action: Literal["ingested", "duplicate", "refused", "pushed", "fetched"]
    batch: str
    content: str
    """SHA-256 (hex) of the hashes of all its files: the same bytes under the same names."""
    frames: int = 0
    quarantined: int = 0
    size: int = 0
    """Bytes."""
    source: str = ""
    reason: str = ""


def now() -> str:
    """Return the time of an entry."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_entries(path: Path) -> list[LedgerEntry]:
    """Return all entries, the oldest first; a line that a power cut left incomplete does not count."""
    return read_lines(path, LedgerEntry)


def record(path: Path, entry: LedgerEntry) -> None:
    """Append an entry, unless the same event of the same content is the last of its kind.

    So an ingestion that was interrupted and repeated is there once.
    """
    with locked(_LOCK):
        same = [
            e
            for e in read_entries(path)
            if (e.action, e.batch, e.content) == (entry.action, entry.batch, entry.content)
        ]
        if same and same[-1].reason == entry.reason:
            return
        append_line(path, entry)


def not_pushed(entries: list[LedgerEntry]) -> list[LedgerEntry]:
    """Return the batches that were ingested and not pushed yet."""
    pushed = {(entry.batch, entry.content) for entry in entries if entry.action == "pushed"}
    return [e for e in entries if e.action == "ingested" and (e.batch, e.content) not in pushed]


def ingested_as(entries: list[LedgerEntry], content: str) -> LedgerEntry | None:
    """Return when some content was ingested; None if it never was."""
    return next((e for e in reversed(entries) if e.action == "ingested" and e.content == content), None)
