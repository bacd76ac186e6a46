"""The history of the field: the records of all ingested batches, and which of their frames count."""

from collections.abc import Collection
from pathlib import Path

from sensorproof.data import quarantine
from sensorproof.data.batch import Batch
from sensorproof.documents.field import FieldRecord
from sensorproof.documents.lines import read_lines
from sensorproof.ingestion.ledger import LedgerEntry, read_entries
from sensorproof.settings import Settings


def read_history(settings: Settings) -> list[FieldRecord]:
    """Return the records of all batches, in the order of their ingestion."""
    return read_lines(Path(settings.ingestion.history), FieldRecord)


def raw_batches(settings: Settings) -> list[str]:
    """Return the names of the batches in the raw data, sorted."""
    paths = Path(settings.data.raw).glob("*/batch.yaml")
    return sorted(path.parent.name for path in paths if not path.parent.name.startswith("."))


def unrecorded(settings: Settings) -> list[tuple[LedgerEntry, frozenset[str]]]:
    """Return the ingested batches that wait for a record, each with the names of the raw batches that were before it.

    Batches that were removed from the raw data are passed over.
    """
    there = set(raw_batches(settings))
    entries = [e for e in read_entries(Path(settings.ingestion.ledger)) if e.action == "ingested" and e.batch in there]
    known = {(record.batch, record.content) for record in read_history(settings)}
    later, waiting = {entry.batch for entry in entries}, []
    for entry in entries:
        later.discard(entry.batch)
        if (entry.batch, entry.content) not in known:
            waiting.append((entry, frozenset(there - later - {entry.batch})))
    return waiting


def quarantined_frames(settings: Settings) -> dict[str, set[str]]:
    """Return {batch: ids of its frames in quarantine}."""
    held: dict[str, set[str]] = {}
    for entry in quarantine.standing(quarantine.read_ledger(Path(settings.data.quarantine))):
        held.setdefault(entry.batch, set()).add(entry.frame_id)
    return held


def count_labelled(batch: Batch, held: Collection[str]) -> int:
    """Count the frames that have a label and are not in quarantine."""
    return int(((batch.frames.label != "") & ~batch.frames.frame_id.isin(list(held))).sum())
