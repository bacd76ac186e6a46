"""Batches that wait in an S3 bucket: fetched once, whole, into the local inbox. Nothing in the bucket is changed."""

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from sensorproof.adapters.s3 import S3Object, fetch, list_objects
from sensorproof.errors import SensorproofError
from sensorproof.files import sync_folder
from sensorproof.hashing import hash_json
from sensorproof.ingestion.archives import is_archive
from sensorproof.ingestion.ledger import LedgerEntry, now, read_entries, record
from sensorproof.locks import BusyError, locked
from sensorproof.settings import Settings


@dataclass
class Fetched:
    """What became of the folders and archives in the bucket."""

    names: list[str] = field(default_factory=list)
    """In the inbox now."""
    incomplete: list[str] = field(default_factory=list)
    """Still being written."""
    faults: list[SensorproofError] = field(default_factory=list)


def fetch_new(settings: Settings, quiet_period_s: float) -> Fetched:
    """Fetch every folder and archive below `ingestion.s3` that was not fetched before and has stopped changing.

    One that cannot be fetched does not keep the others away.

    Args:
        settings: all of params.yaml.
        quiet_period_s: seconds without a change after which a batch counts as complete.
    """
    result = Fetched()
    address = settings.ingestion.s3
    if address is None:
        return result
    try:
        batches = _by_batch(list_objects(address))
    except SensorproofError as error:
        result.faults.append(error)
        return result
    ledger = Path(settings.ingestion.ledger)
    known = {entry.content for entry in read_entries(ledger) if entry.action == "fetched"}
    for name, objects in sorted(batches.items()):
        content = hash_json([address, sorted([entry.name, entry.size, entry.etag] for entry in objects)])
        if content in known:
            continue
        if time.time() - max(entry.changed for entry in objects) < quiet_period_s:
            result.incomplete.append(name)
            continue
        target = Path(settings.data.inbox) / name
        try:
            with locked(f"fetch-{name}", wait=False):
                if target.exists():
                    raise SensorproofError(target, "is in the way of the same name in the bucket", "rename one of them")
                _fetch(address, objects, target)
                size = sum(entry.size for entry in objects)
                source = f"{address.rstrip('/')}/{name}"
                record(
                    ledger,
                    LedgerEntry(time=now(), action="fetched", batch=name, content=content, size=size, source=source),
                )
        except BusyError:  # another process fetches it
            result.incomplete.append(name)
        except SensorproofError as error:
            result.faults.append(error)
        else:
            result.names.append(name)
    return result


def _by_batch(objects: list[S3Object]) -> dict[str, list[S3Object]]:
    """Return the objects of each folder and archive by its name; hidden names and other files do not count."""
    batches: dict[str, list[S3Object]] = {}
    for entry in objects:
        name, slash, _ = entry.name.partition("/")
        if name and not name.startswith(".") and (slash or is_archive(Path(name))):
            batches.setdefault(name, []).append(entry)
    return batches


def _fetch(address: str, objects: list[S3Object], target: Path) -> None:
    """Fetch into a hidden sibling, then rename: a batch is in the inbox whole or not at all."""
    temporary = target.with_name(f".fetching-{target.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        below = target.name if objects[0].name == target.name else f"{target.name}/"
        copy = temporary / target.name
        fetch(address, objects, copy, below)
        os.sync()
        copy.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        fix = "make room for the batch, then repeat"
        raise SensorproofError(error.filename or temporary, f"cannot be written ({error.strerror})", fix) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
