"""The verdict: exit code, refusal, and the document that is written and read back."""

from pathlib import Path

import pandas as pd
import pytest

from sensorproof.alignment.decision.findings import FAULT_COLUMNS
from sensorproof.alignment.decision.verdict import BatchVerdict
from sensorproof.documents.validation import BatchRecord, PairRecord, ValidationRecord
from sensorproof.errors import RejectedError, SensorproofError
from sensorproof.files import read_json, write_json

PAIR = PairRecord(state="aligned", reason="within 0.20 px at the corners", frames=10, measured=10, corner_px=0.2)


def make_verdict(quarantined: int, reasons: tuple[str, ...] = (), batch: str = "b") -> BatchVerdict:
    """A verdict on ten frames, the first of which are quarantined."""
    faults = [(batch, f"f{k}", "depth", "deviation_px", 4.0, 2.0, "depth is displaced") for k in range(quarantined)]
    table = pd.DataFrame(faults, columns=FAULT_COLUMNS).assign(released=False).astype({"released": bool})
    return BatchVerdict(batch, "suite", 10, quarantined, 0, table, reasons, (), {"depth": PAIR}, None)


def test_the_exit_code_follows_the_verdict() -> None:
    verdicts = (make_verdict(0), make_verdict(1), make_verdict(1, ("reason",)))
    assert [verdict.exit_code for verdict in verdicts] == [0, 3, 4]


def test_a_refusal_is_one_line_with_the_first_reasons() -> None:
    error = make_verdict(0, tuple(f"reason {k}" for k in range(7))).refusal()
    assert isinstance(error, RejectedError)
    assert "\n" not in str(error)
    assert "reason 4; and 2 more" in str(error)
    assert str(error).endswith("fix the sensor rig, its clocks or the files (docs/explanation/alignment.md)")


def test_the_lines_count_frames_with_the_same_fault() -> None:
    lines = make_verdict(2).lines()
    assert lines[0] == "b: 10 frames, 2 quarantined, 0 released"
    assert "  depth: aligned (within 0.20 px at the corners)" in lines
    assert "  quarantined: depth is displaced (2 frames)" in lines


def test_the_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = make_verdict(2).record()
    assert record.by_measure == {"deviation_px": 2}
    record.write(tmp_path / "verdict.json")
    assert BatchRecord.read(tmp_path / "verdict.json") == record


def test_a_record_of_all_batches_sums_up_and_is_refused_if_one_batch_is(tmp_path: Path) -> None:
    records = [make_verdict(1, batch="first").record(), make_verdict(2, ("reason",), "second").record()]
    validation = ValidationRecord.of(records)
    assert (validation.frames.total, validation.frames.quarantined) == (20, 3)
    assert (validation.decision, ValidationRecord.of(records[:1]).decision) == ("refused", "accepted")
    validation.write(tmp_path / "verdict.json")
    assert ValidationRecord.read(tmp_path / "verdict.json") == validation
    document = read_json(tmp_path / "verdict.json")
    document["batches"]["first"]["frames"]["total"] = "ten"
    write_json(tmp_path / "verdict.json", document)
    with pytest.raises(SensorproofError, match=r"batches\.first\.frames\.total"):
        ValidationRecord.read(tmp_path / "verdict.json")
