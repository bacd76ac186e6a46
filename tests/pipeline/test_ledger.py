"""The ledger: frames that are quarantined, released and cleared."""

from pathlib import Path

import pytest

from helpers.commands import command
from helpers.fault_batches import FRAMES, quarantined_ids, shift_images, validated
from sensorproof.data.quarantine import read_ledger, standing
from sensorproof.documents.validation import BatchRecord
from sensorproof.validation import update_ledger


def test_frames_at_fault_are_recorded_once_and_raw_data_is_unchanged(batch: Path) -> None:
    shift_images(batch, range(3, 6), 8)
    before = {p: p.read_bytes() for p in batch.rglob("*") if p.is_file()}
    verdict = validated(batch)
    assert quarantined_ids(verdict) == {"f0003", "f0004", "f0005"}
    entries = read_ledger(Path("data/quarantine"))
    assert {(e.action, e.batch, e.frame_id, e.sensor) for e in entries} == {
        ("quarantined", "made", f, "other") for f in quarantined_ids(verdict)
    }
    entry = next(e for e in entries if e.measure == "deviation_px")
    assert float(entry.value) == pytest.approx(8, abs=0.3)
    assert float(entry.threshold) == 2
    assert entry.time.endswith("+00:00")
    assert validated(batch).record() == verdict.record()
    assert read_ledger(Path("data/quarantine")) == entries
    assert {p: p.read_bytes() for p in batch.rglob("*") if p.is_file()} == before


def test_a_released_frame_is_used_and_the_release_is_recorded(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shift_images(batch, range(3, 6), 8)
    assert command("validate", "made") == 3
    assert command("quarantine", "release", "made", "f0003", "--reason", "reviewed", "--by", "ada") == 0
    verdict = validated(batch)
    assert quarantined_ids(verdict) == {"f0004", "f0005"}
    assert (verdict.quarantined, verdict.released) == (2, 1)
    released = [e for e in read_ledger(Path("data/quarantine")) if e.action == "released"]
    assert {(e.frame_id, e.reason, e.by) for e in released} == {("f0003", "reviewed", "ada")}
    capsys.readouterr()
    assert command("quarantine", "list", "made") == 0
    listed = capsys.readouterr().out
    assert "f0004" in listed
    assert "f0003" not in listed
    assert command("quarantine", "list", "--history") == 0
    assert "f0003" in capsys.readouterr().out


def test_a_fault_that_is_gone_is_cleared(batch: Path) -> None:
    original = (batch / "other" / "3.png").read_bytes()
    shift_images(batch, range(3, 4), 8)
    validated(batch)
    (batch / "other" / "3.png").write_bytes(original)
    assert validated(batch).quarantined == 0
    entries = read_ledger(Path("data/quarantine"))
    assert [e.action for e in entries if e.frame_id == "f0003"][-1] == "cleared"
    assert standing(entries) == []


def test_a_release_ends_when_the_fault_gets_worse_or_is_gone(batch: Path) -> None:
    original = (batch / "other" / "3.png").read_bytes()
    shift_images(batch, range(3, 4), 5)
    validated(batch)
    assert command("quarantine", "release", "made", "f0003", "--reason", "reviewed") == 0
    assert validated(batch).released == 1
    shift_images(batch, range(3, 4), 5)
    assert quarantined_ids(validated(batch)) == {"f0003"}
    assert {e.frame_id for e in standing(read_ledger(Path("data/quarantine")))} == {"f0003"}
    assert command("quarantine", "release", "made", "f0003", "--reason", "reviewed again") == 0
    (batch / "other" / "3.png").write_bytes(original)
    assert validated(batch).released == 0
    shift_images(batch, range(3, 4), 5)
    assert quarantined_ids(validated(batch)) == {"f0003"}, "a release must not outlive its fault"


def test_a_release_is_of_the_latest_value(batch: Path) -> None:
    """The ledger follows a fault that grows in quarantine, and a release made during a validation holds."""
    shift_images(batch, range(3, 4), 4)
    validated(batch)
    shift_images(batch, range(3, 4), 6)
    verdict = validated(batch)
    ledger = Path("data/quarantine")
    assert [float(e.value) for e in read_ledger(ledger) if e.measure == "deviation_px"] == pytest.approx(
        [4, 10], abs=0.5
    )
    assert command("quarantine", "release", "made", "f0003", "--reason", "reviewed") == 0
    entries = read_ledger(ledger)
    update_ledger(ledger, verdict)  # by a validation that began before the release
    assert read_ledger(ledger) == entries
    assert validated(batch).released == 1


def test_a_refusal_and_its_end_are_recorded(batch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    originals = {p: p.read_bytes() for p in (batch / "other").iterdir()}
    shift_images(batch, range(FRAMES), 4)
    assert command("validate", "made", "--json", "verdict.json") == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: made: is refused: other: the sensor is displaced in all frames alike")
    assert "\n" not in error
    record = BatchRecord.read(Path("verdict.json"))
    assert (record.decision, record.pairs["other"].state) == ("refused", "misaligned")
    for path, content in originals.items():
        path.write_bytes(content)
    assert command("validate", "made", "--json", "verdict.json") == 0
    assert BatchRecord.read(Path("verdict.json")).decision == "accepted"
    assert [e.action for e in read_ledger(Path("data/quarantine")) if not e.frame_id] == ["refused", "accepted"]
