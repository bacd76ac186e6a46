"""Scan the inbox for complete batches, folders or archives, and note beside each refused one why.

A batch is complete when nothing in it has changed for a while. Names that start with a dot are ignored: to be sure,
copy a batch to `.name` and rename it to `name` at the end. A refused batch stays untouched, with its reasons in
`<name>.refused.yaml`. It is reviewed again when it or params.yaml changes, when one of its frames is released from
quarantine, or when the note is removed.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorproof.data.quarantine import read_ledger
from sensorproof.errors import SensorproofError
from sensorproof.files import dump_yaml, parse_yaml, write_text
from sensorproof.hashing import hash_json
from sensorproof.ingestion.archives import is_archive
from sensorproof.settings import Settings

_NOTE = ".refused.yaml"


@dataclass(frozen=True)
class Inbox:
    """Folders and archives by state: `ready` to ingest, `incomplete`, or `refused` before and unchanged.

    `ignored` are other files, and links: what a link leads to does not belong to the inbox.
    """

    ready: tuple[Path, ...] = ()
    incomplete: tuple[Path, ...] = ()
    refused: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()


def scan(settings: Settings, quiet_period_s: float, complete: Collection[str] = ()) -> Inbox:
    """Sort the inbox's folders and archives by state; remove notes whose batch is gone.

    Args:
        settings: all of params.yaml.
        quiet_period_s: seconds without a change after which a batch counts as complete.
        complete: names of batches that are known to be complete.

    Raises:
        SensorproofError: there is no inbox.
    """
    inbox = Path(settings.data.inbox)
    if not inbox.is_dir():
        raise SensorproofError(inbox, "is not a folder", "create it, or set data.inbox in params.yaml")
    for note in inbox.glob(f"*{_NOTE}"):
        if not _batch_of(note).exists():
            note.unlink()
    visible = [path for path in sorted(inbox.iterdir()) if not path.name.startswith(".")]
    batches = [p for p in visible if not p.is_symlink() and (p.is_dir() or (p.is_file() and is_archive(p)))]
    ignored = tuple(path for path in visible if path not in batches and not path.name.endswith(_NOTE))
    incomplete = tuple(
        each for each in batches if each.name not in complete and time.time() - _last_change(each) < quiet_period_s
    )
    refused = tuple(each for each in batches if each not in incomplete and _was_rejected(each, settings))
    return Inbox(tuple(each for each in batches if each not in incomplete + refused), incomplete, refused, ignored)


def _last_change(folder: Path) -> float:
    """Return when anything in a folder last changed, in seconds since the epoch.

    The time is the file system's own (ctime), which a copy that preserves times does not set back.
    """
    try:
        return max(path.lstat().st_ctime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:  # something was renamed this very moment
        return time.time()


def note_rejection(folder: Path, reason: str, settings: Settings) -> Path:
    """Write beside a batch why it was refused, and return the note's path."""
    note = _note_of(folder)
    document = {"refused": reason, "judged": _judged_by(folder, settings)}
    write_text(note, dump_yaml(document))
    return note


def _was_rejected(folder: Path, settings: Settings) -> bool:
    """Return whether there is a note on the batch as it is now, reviewed with the settings of now."""
    try:
        document: Any = parse_yaml(_note_of(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or somebody edited it
        return False
    return isinstance(document, dict) and document.get("judged") == _judged_by(folder, settings)


def forget_rejection(folder: Path) -> None:
    """Remove the note of a batch that has now been ingested."""
    _note_of(folder).unlink(missing_ok=True)


def _judged_by(folder: Path, settings: Settings) -> str:
    """Hash the batch's files (names, sizes, times), the settings and the releases from quarantine."""
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    files = [(path.relative_to(folder).as_posix(), path.lstat()) for path in paths]
    released = [entry.key for entry in read_ledger(Path(settings.data.quarantine)) if entry.action == "released"]
    return hash_json(
        {
            "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in files],
            "settings": [settings.validation.model_dump(mode="json"), settings.data.model_dump(mode="json")],
            "released": released,
        }
    )


def _note_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _NOTE)


def _batch_of(note: Path) -> Path:
    return note.with_name(note.name.removesuffix(_NOTE))
