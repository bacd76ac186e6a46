"""The history of a registry's aliases: a chain of entries, each bound to those before it by a hash.

MLflow keeps no history of aliases. So each change is written down before it is made, as a tag of the registered model
that is never written again; it is stored with the aliases, outlives the checkout, and everybody who shares the server
sees it. A further tag, the head, marks the last change that was completed. From both it can be told whether a change
was interrupted, and whether somebody has changed or removed an entry.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sensorproof.adapters.mlflow import user
from sensorproof.errors import RejectedError

_ENTRY = "history."
_HEAD = "history_head"
_START = ""
"""The hash before the first entry."""


@dataclass(frozen=True)
class AliasChange:
    """One change of the aliases: {alias: version or None} before and after, why, and whether gates were overridden."""

    time: str
    action: str
    before: dict[str, int | None]
    after: dict[str, int | None]
    reason: str
    forced: bool = False
    by: str = field(default_factory=user)
    parent: str | None = None
    """SHA-256 (hex) of all entries before; None in those of earlier versions."""


@dataclass(frozen=True)
class History:
    """The entries, the oldest first, and whether the last one was completed."""

    changes: tuple[AliasChange, ...]
    keys: tuple[str, ...]
    """The tags that hold them."""
    digest: str
    """SHA-256 (hex) of all entries: the parent of the next one."""
    pending: bool
    """The last change was written down, but not completed."""

    def aliases(self) -> dict[str, int]:
        """Return the aliases as they are after all changes."""
        state: dict[str, int | None] = {}
        for change in self.changes:
            state |= change.after
        return {alias: number for alias, number in sorted(state.items()) if number is not None}


def read_history(tags: Mapping[str, str], name: str) -> History:
    """Read and verify the history.

    Args:
        tags: those of the registered model.
        name: of the registered model, for messages.

    Raises:
        RejectedError: an entry was changed, removed or added by somebody else.
    """
    keys = sorted(key for key in tags if key.startswith(_ENTRY))
    changes: list[AliasChange] = []
    digests = [_START]
    for key in keys:
        try:
            change = AliasChange(**json.loads(tags[key]))
        except (ValueError, TypeError) as error:
            raise _broken(name, f"entry {key} is no entry") from error
        if change.parent is not None and change.parent != digests[-1]:
            raise _broken(name, f"an entry before {key} was changed or removed")
        if change.parent is None and any(earlier.parent is not None for earlier in changes):
            raise _broken(name, f"entry {key} has lost its hash")
        changes.append(change)
        digests.append(_extend(digests[-1], tags[key]))
    chained = any(change.parent is not None for change in changes)
    head = tags.get(_HEAD)
    if head is None:
        # Without a head, entries are of an earlier version, or the first change of this one was interrupted.
        if sum(change.parent is not None for change in changes) > 1:
            raise _broken(name, "its head was removed")
        return History(tuple(changes), tuple(keys), digests[-1], chained)
    if head not in digests[-2:]:
        raise _broken(name, "its last entries were changed or removed")
    return History(tuple(changes), tuple(keys), digests[-1], head != digests[-1])


def new_entry(
    history: History, before: Mapping[str, int | None], after: Mapping[str, int | None], **facts: Any
) -> tuple[str, str, History]:
    """Build the next entry.

    Args:
        history: what is there already, completed.
        before: {alias: version or None} of the aliases that change.
        after: the same after the change.
        facts: further fields of AliasChange.

    Returns:
        The name of the tag, its value, and the history with it, pending.
    """
    now = datetime.now(UTC)
    change = AliasChange(
        now.isoformat(timespec="microseconds"), before=dict(before), after=dict(after), parent=history.digest, **facts
    )
    # Names sort by time; a clock that was set back must not put an entry before the last one.
    last = int(history.keys[-1].removeprefix(_ENTRY)) if history.keys else 0
    key = f"{_ENTRY}{max(int(now.strftime('%Y%m%d%H%M%S%f')), last + 1)}"
    text = json.dumps(asdict(change))
    extended = History((*history.changes, change), (*history.keys, key), _extend(history.digest, text), pending=True)
    return key, text, extended


def completed(history: History) -> tuple[str, str]:
    """Return name and value of the tag that marks the last entry as completed."""
    return _HEAD, history.digest


def _extend(digest: str, text: str) -> str:
    return hashlib.sha256(f"{digest}\n{text}".encode()).hexdigest()


def _broken(name: str, fault: str) -> RejectedError:
    fix = "find out who changed the tags of the registered model in MLflow, and restore them from a backup"
    return RejectedError(f"history of {name}", fault, fix)
