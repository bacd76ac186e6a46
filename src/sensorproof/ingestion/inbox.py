"""The inbox: which batches in it are complete, and a note beside each that was refused.

A folder is complete when nothing in it has changed for a while; names that start with a dot are left alone, so that
whoever wants to be sure copies to `.name` and renames it to `name` at the end. A refused batch stays where it is, as
it is, with its reasons in `<name>.refused.yaml`. It is judged again when it or params.yaml changes, when a frame is
released from quarantine, or when the note is removed.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensorproof.data.quarantine import read_ledger
from sensorproof.errors import SensorproofError
from sensorproof.files import dump_yaml, hash_json, parse_yaml, write_text
from sensorproof.settings import Settings

_NOTE = ".refused.yaml"


@dataclass(frozen=True)
class Inbox:
    """Folders by state: `ready` to be taken in, `incomplete` still, `refused` before and unchanged.

    `ignored` are files and links, which are left alone: what a link leads to is not the inbox's to take.
    """

    ready: tuple[Path, ...] = ()
    incomplete: tuple[Path, ...] = ()
    refused: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()


def scan(settings: Settings, quiet_period_s: float) -> Inbox:
    """See what lies in the inbox; notes whose batch is gone are removed.

    Args:
        settings: all of params.yaml.
        settle_s: seconds for which nothing in a complete batch has changed.
    """
    inbox = Path(settings.data.inbox)
    if not inbox.is_dir():
        raise SensorproofError(inbox, "is no folder", "make it, or set data.inbox in params.yaml")
    for note in inbox.glob(f"*{_NOTE}"):
        if not _folder_of(note).is_dir():
            note.unlink()
    seen = [path for path in sorted(inbox.iterdir()) if not path.name.startswith(".")]
    folders = [path for path in seen if path.is_dir() and not path.is_symlink()]
    ignored = tuple(path for path in seen if path not in folders and not path.name.endswith(_NOTE))
    incomplete = tuple(folder for folder in folders if time.time() - _last_change(folder) < quiet_period_s)
    refused = tuple(f for f in folders if f not in incomplete and _was_rejected(f, settings))
    return Inbox(tuple(f for f in folders if f not in incomplete + refused), incomplete, refused, ignored)


def _last_change(folder: Path) -> float:
    """When anything in a folder was last written, made, renamed or removed, in seconds since the epoch.

    The times are those of the file system's own book-keeping (ctime), which a copy does not set back.
    """
    try:
        return max(path.lstat().st_ctime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:  # something was renamed this very moment
        return time.time()


def note_rejection(folder: Path, reason: str, settings: Settings) -> Path:
    """Say beside a batch why it was refused."""
    note = _note_of(folder)
    document = {"refused": reason, "judged": _judged_by(folder, settings)}
    write_text(note, dump_yaml(document))
    return note


def _was_rejected(folder: Path, settings: Settings) -> bool:
    """True if a note speaks of the batch as it is, judged as it would be now."""
    try:
        document: Any = parse_yaml(_note_of(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or somebody wrote in it
        return False
    return isinstance(document, dict) and document.get("judged") == _judged_by(folder, settings)


def forget_rejection(folder: Path) -> None:
    """Remove the note of a batch that has been taken in after all."""
    _note_of(folder).unlink(missing_ok=True)


def _judged_by(folder: Path, settings: Settings) -> str:
    """A hash of the batch's files (names, sizes, times), of the settings and of what people have released."""
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
