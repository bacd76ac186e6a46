"""Scan the inbox for complete batches, and note beside each refused one why.

A folder is complete when nothing in it has changed for a while. Names that start with a dot are ignored: to be sure,
copy a batch to `.name` and rename it to `name` at the end. A refused batch stays untouched, with its reasons in
`<name>.refused.yaml`. It is reviewed again when it or params.yaml changes, when one of its frames is released from
quarantine, or when the note is removed.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorproof.data.quarantine import read_ledger
from sensorproof.errors import SensorproofError
from sensorproof.files import dump_yaml, parse_yaml, write_text
from sensorproof.hashing import hash_json
from sensorproof.settings import Settings

_NOTE = ".refused.yaml"


@dataclass(frozen=True)
class Inbox:
    """Folders by state: `ready` to ingest, `incomplete`, or `refused` before and unchanged.

    `ignored` are files and links: what a link leads to does not belong to the inbox.
    """

    ready: tuple[Path, ...] = ()
    incomplete: tuple[Path, ...] = ()
    refused: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()


def scan(settings: Settings, quiet_period_s: float) -> Inbox:
    """Sort the inbox's folders by state; remove notes whose batch is gone.

    Args:
        settings: all of params.yaml.
        quiet_period_s: seconds without a change after which a folder counts as complete.

    Raises:
        SensorproofError: there is no inbox.
    """
    inbox = Path(settings.data.inbox)
    if not inbox.is_dir():
        raise SensorproofError(inbox, "is not a folder", "create it, or set data.inbox in params.yaml")
    for note in inbox.glob(f"*{_NOTE}"):
        if not _folder_of(note).is_dir():
            note.unlink()
    visible = [path for path in sorted(inbox.iterdir()) if not path.name.startswith(".")]
    folders = [path for path in visible if path.is_dir() and not path.is_symlink()]
    ignored = tuple(path for path in visible if path not in folders and not path.name.endswith(_NOTE))
    incomplete = tuple(folder for folder in folders if time.time() - _last_change(folder) < quiet_period_s)
    refused = tuple(f for f in folders if f not in incomplete and _was_rejected(f, settings))
    return Inbox(tuple(f for f in folders if f not in incomplete + refused), incomplete, refused, ignored)


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
    files = [(path.relative_to(folder).as_posix(), path.lstat()) for path in sorted(folder.rglob("*"))]
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


def _folder_of(note: Path) -> Path:
    return note.with_name(note.name.removesuffix(_NOTE))
