"""The chain of entries: whole, interrupted, or changed by somebody else."""

import json

import pytest

from sensorproof.adapters.mlflow_history import History, completed, new_entry, read_history
from sensorproof.errors import RejectedError

NAME = "sensorproof"


def write(tags: dict[str, str], version: int, *, complete: bool = True) -> History:
    """Add an entry that makes a version champion."""
    history = read_history(tags, NAME)
    before = {"champion": history.aliases().get("champion")}
    key, text, history = new_entry(history, before, {"champion": version}, action="promote", reason="better")
    tags[key] = text
    if complete:
        tags.update([completed(history)])
    return read_history(tags, NAME)


@pytest.fixture
def tags() -> dict[str, str]:
    """Three completed changes."""
    made: dict[str, str] = {}
    for version in (1, 2, 3):
        write(made, version)
    return made


def entries(tags: dict[str, str]) -> list[str]:
    return sorted(key for key in tags if key.startswith("history."))


def test_entries_follow_one_another(tags: dict[str, str]) -> None:
    history = read_history(tags, NAME)
    assert [change.after["champion"] for change in history.changes] == [1, 2, 3]
    assert [change.before["champion"] for change in history.changes] == [None, 1, 2]
    assert (history.aliases(), history.pending) == ({"champion": 3}, False)
    assert len(entries(tags)) == 3


@pytest.mark.parametrize("first", [True, False])
def test_a_change_that_was_not_completed_is_pending(tags: dict[str, str], first: bool) -> None:
    assert write({} if first else tags, 4, complete=False).pending


def test_entries_of_earlier_versions_come_before_the_chain() -> None:
    old = {"time": "2026-01-01", "action": "register", "before": {"champion": None}, "after": {"champion": 1}}
    tags = {"history.20260101000000000000": json.dumps(old | {"reason": "all gates passed", "by": "root"})}
    assert not read_history(tags, NAME).pending
    assert write(tags, 2).aliases() == {"champion": 2}
    tags["history.20260101000000000000"] = tags["history.20260101000000000000"].replace("all", "no")
    with pytest.raises(RejectedError, match="was changed or removed"):
        read_history(tags, NAME)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("change", ["edited", "removed", "broken", "unchained"])
def test_any_interference_is_named(tags: dict[str, str], place: int, change: str) -> None:
    key = entries(tags)[place]
    if change == "removed":
        del tags[key]
    elif change == "edited":
        tags[key] = tags[key].replace("better", "worse")
    elif change == "broken":
        tags[key] = "no entry"
    else:
        tags[key] = json.dumps({**json.loads(tags[key]), "parent": None})
    with pytest.raises(RejectedError, match=f"history of {NAME}: ") as caught:
        read_history(tags, NAME)
    assert "\n" not in str(caught.value)


def test_a_head_that_was_removed_is_named(tags: dict[str, str]) -> None:
    del tags["history_head"]
    with pytest.raises(RejectedError, match="its head was removed"):
        read_history(tags, NAME)
