"""Frames set aside, released and cleared: what the ledger remembers, and for how long."""

import json
from pathlib import Path

import pytest

from helpers.fault_batches import FRAMES, command, ids, shift_files, validated
from sensorproof.data.quarantine import read_ledger, standing
from sensorproof.validation import note


def test_frames_at_fault_go_to_the_ledger_once_and_raw_data_stays(batch: Path) -> None:
    shift_files(batch, range(3, 6), 8)
    before = {p: p.read_bytes() for p in batch.rglob("*") if p.is_file()}
    verdict = validated(batch)
    assert ids(verdict) == {"f0003", "f0004", "f0005"}
    entries = read_ledger(Path("data/quarantine"))
    assert {(e.action, e.batch, e.frame_id, e.sensor) for e in entries} == {
        ("quarantined", "made", f, "other") for f in ids(verdict)
    }
    one = next(e for e in entries if e.measure == "deviation_px")
    assert float(one.value) == pytest.approx(8, abs=0.3)
    assert float(one.threshold) == 2
    assert one.time.endswith("+00:00")
    assert validated(batch).to_json() == verdict.to_json()
    assert read_ledger(Path("data/quarantine")) == entries
    assert {p: p.read_bytes() for p in batch.rglob("*") if p.is_file()} == before


def test_a_release_is_respected_and_recorded(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shift_files(batch, range(3, 6), 8)
    assert command("validate", "made") == 3
    assert command("quarantine", "release", "made", "f0003", "--reason", "looked at it", "--by", "ada") == 0
    verdict = validated(batch)
    assert ids(verdict) == {"f0004", "f0005"}
    assert (verdict.quarantined, verdict.released) == (2, 1)
    released = [e for e in read_ledger(Path("data/quarantine")) if e.action == "released"]
    assert {(e.frame_id, e.reason, e.by) for e in released} == {("f0003", "looked at it", "ada")}
    capsys.readouterr()
    assert command("quarantine", "list", "made") == 0
    listed = capsys.readouterr().out
    assert "f0004" in listed
    assert "f0003" not in listed
    assert command("quarantine", "list", "--history") == 0
    assert "f0003" in capsys.readouterr().out


def test_what_no_longer_fails_is_cleared(batch: Path) -> None:
    keep = (batch / "other" / "3.png").read_bytes()
    shift_files(batch, range(3, 4), 8)
    validated(batch)
    (batch / "other" / "3.png").write_bytes(keep)
    assert validated(batch).quarantined == 0
    entries = read_ledger(Path("data/quarantine"))
    assert [e.action for e in entries if e.frame_id == "f0003"][-1] == "cleared"
    assert standing(entries) == []


def test_a_release_ends_when_the_fault_gets_worse_or_goes(batch: Path) -> None:
    keep = (batch / "other" / "3.png").read_bytes()
    shift_files(batch, range(3, 4), 5)
    validated(batch)
    assert command("quarantine", "release", "made", "f0003", "--reason", "looked at it") == 0
    assert validated(batch).released == 1
    shift_files(batch, range(3, 4), 5)
    assert ids(validated(batch)) == {"f0003"}
    assert {e.frame_id for e in standing(read_ledger(Path("data/quarantine")))} == {"f0003"}
    assert command("quarantine", "release", "made", "f0003", "--reason", "and again") == 0
    (batch / "other" / "3.png").write_bytes(keep)
    assert validated(batch).released == 0
    shift_files(batch, range(3, 4), 5)
    assert ids(validated(batch)) == {"f0003"}, "a release of what is gone must not let pass what comes later"


def test_a_release_is_of_what_the_fault_is_now(batch: Path) -> None:
    """The ledger follows a fault that grows while its frame is set aside, and a release made meanwhile holds."""
    shift_files(batch, range(3, 4), 4)
    validated(batch)
    shift_files(batch, range(3, 4), 6)
    verdict = validated(batch)
    ledger = Path("data/quarantine")
    assert [float(e.value) for e in read_ledger(ledger) if e.measure == "deviation_px"] == pytest.approx(
        [4, 10], abs=0.5
    )
    assert command("quarantine", "release", "made", "f0003", "--reason", "looked at it") == 0
    entries = read_ledger(ledger)
    note(ledger, verdict)  # of a validation that began before the release
    assert read_ledger(ledger) == entries
    assert validated(batch).released == 1


def test_a_refused_batch_says_why_and_that_it_was_accepted_later(
    batch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = {p: p.read_bytes() for p in (batch / "other").iterdir()}
    shift_files(batch, range(FRAMES), 4)
    assert command("validate", "made", "--json", "verdict.json") == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: made: is refused: other: the sensor is off in all frames alike")
    assert "\n" not in error
    document = json.loads(Path("verdict.json").read_text())
    assert (document["decision"], document["pairs"]["other"]["state"]) == ("refused", "misaligned")
    for path, content in keep.items():
        path.write_bytes(content)
    assert command("validate", "made", "--json", "verdict.json") == 0
    assert json.loads(Path("verdict.json").read_text())["decision"] == "accepted"
    assert [e.action for e in read_ledger(Path("data/quarantine")) if not e.frame_id] == ["refused", "accepted"]
