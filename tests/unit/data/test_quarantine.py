"""The ledger only grows, is written whole, and what a person releases stays released."""

import subprocess
import sys
from pathlib import Path

import pytest

from sensorproof.data.quarantine import (
    HEADER,
    LEDGER,
    Entry,
    append,
    is_unusable,
    last_actions,
    read_ledger,
    release,
    released,
    standing,
)
from sensorproof.errors import SensorproofError, UsageError

ONE = Entry("2026-01-01T00:00:00+00:00", "quarantined", "b", "f1", "depth", "deviation_px", "4", "2", "depth is off")
TWO = Entry(
    "2026-01-01T00:00:00+00:00", "quarantined", "b", "f2", "depth", "unreadable", "1", "0", "depth is cut short"
)
AWAY = Entry("2026-01-01T00:00:00+00:00", "quarantined", "other", "f1", "depth", "deviation_px", "9", "2", "off")


def test_what_is_appended_is_read_again_and_what_was_there_stays(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == []
    append(tmp_path, [ONE])
    before = (tmp_path / LEDGER).read_bytes()
    odd = Entry("t", "refused", "b", reason='commas, "quotes"\nand a new line')
    append(tmp_path, [TWO, odd])
    assert (tmp_path / LEDGER).read_bytes().startswith(before)
    assert read_ledger(tmp_path)[:2] == [ONE, TWO]
    assert read_ledger(tmp_path)[2].reason == 'commas, "quotes" and a new line'


def test_nothing_to_append_leaves_the_file_alone(tmp_path: Path) -> None:
    append(tmp_path, [])
    assert not (tmp_path / LEDGER).exists()
    append(tmp_path, [ONE])
    stamp = (tmp_path / LEDGER).stat().st_mtime_ns
    append(tmp_path, [])
    assert (tmp_path / LEDGER).stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a,b\n", "another header"),
        (",".join(HEADER) + "\nonly,three,cells\n", "line 2 is not an entry"),
        (",".join(HEADER) + "\nt,burned" + "," * (len(HEADER) - 2) + "\n", "line 2 is not an entry"),
        (",".join(HEADER) + '\n"cut short', "cannot be read"),
    ],
)
def test_a_broken_ledger_is_one_clear_error(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / LEDGER).write_text(text)
    with pytest.raises(SensorproofError, match=fault):
        read_ledger(tmp_path)


def test_a_release_ends_what_stands_and_says_who_and_why() -> None:
    entries = [ONE, AWAY]
    added = release(entries, "b", ["f1"], "", "", "looked at it", "ada")
    assert [(e.action, e.batch, e.reason, e.by, e.value) for e in added] == [
        ("released", "b", "looked at it", "ada", "4")
    ]
    assert standing([*entries, *added]) == [AWAY]
    assert released([*entries, *added], "b") == {("f1", "depth", "deviation_px"): (4.0, 2.0)}
    assert released([*entries, *added], "other") == {}


def test_only_part_of_the_faults_can_be_released() -> None:
    second = Entry(ONE.time, "quarantined", "b", "f1", "thermal", "swapped", "1", "0", "swapped")
    added = release([ONE, second], "b", ["f1"], "thermal", "", "fine", "ada")
    assert [e.sensor for e in added] == ["thermal"]
    assert standing([ONE, second, *added]) == [ONE]


@pytest.mark.parametrize(
    ("batch", "frames", "fault"),
    [
        ("b", ["f9"], "'f9'.*nothing to release"),
        ("c", [], "'c'.*nothing to release"),
        ("b", ["f2"], "cannot be released"),
    ],
)
def test_what_cannot_be_released_is_said(batch: str, frames: list[str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        release([ONE, TWO], batch, frames, "", "", "why", "ada")


@pytest.mark.parametrize(
    ("sensor", "measure", "value", "usable"),
    [
        ("depth", "unreadable", "1", False),
        ("camera", "sensors", "0", False),
        ("label", "label_unknown_share", "0.01", False),
        ("depth", "invalid_share", "1", False),
        ("depth", "invalid_share", "0.997", True),
        ("label", "wrong_size", "1", False),
        ("depth", "wrong_size", "1", True),
        ("depth", "deviation_px", "4", True),
    ],
)
def test_what_preparation_would_leave_out_cannot_be_released(
    sensor: str, measure: str, value: str, usable: bool
) -> None:
    assert is_unusable(sensor, measure, float(value)) == (not usable)
    entry = Entry("t", "quarantined", "b", "f1", sensor, measure, value, "0", "why")
    if usable:
        assert release([entry], "b", [], "", "", "why", "ada")
    else:
        with pytest.raises(UsageError, match="cannot be released"):
            release([entry], "b", [], "", "", "why", "ada")


def test_names_are_kept_to_the_letter(tmp_path: Path) -> None:
    odd = Entry("t", "quarantined", "b", "f  1", "depth", "swapped", "1", "0", "two  blanks", "ada  l")
    append(tmp_path, [odd])
    assert (found := read_ledger(tmp_path)[0]).frame_id == "f  1"
    assert (found.reason, found.by) == ("two blanks", "ada l")


def test_released_twice_is_nothing_to_release() -> None:
    entries = [ONE, *release([ONE], "b", [], "", "", "why", "ada")]
    with pytest.raises(UsageError, match="nothing to release"):
        release(entries, "b", ["f1"], "", "", "again", "ada")


def test_a_fault_that_comes_back_after_it_was_cleared_stands_again() -> None:
    cleared = Entry("t", "cleared", "b", "f1", "depth", "deviation_px")
    assert standing([ONE, cleared]) == []
    assert standing([ONE, cleared, ONE]) == [ONE]
    assert last_actions([ONE, cleared], "b")[ONE.key].action == "cleared"


def test_writers_do_not_lose_each_others_entries(tmp_path: Path) -> None:
    """Four processes append 25 times each under the lock."""
    code = (
        "import sys; from pathlib import Path; from sensorproof.locks import locked;"
        "from sensorproof.data.quarantine import Entry, LOCK, append\n"
        "for k in range(25):\n"
        "    with locked(LOCK): append(Path('ledger'), [Entry('t', 'quarantined', sys.argv[1], str(k))])"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=tmp_path) for n in range(4)]
    assert [w.wait(timeout=60) for w in writers] == [0] * 4
    entries = read_ledger(tmp_path / "ledger")
    assert sorted((e.batch, int(e.frame_id)) for e in entries) == [(str(n), k) for n in range(4) for k in range(25)]
