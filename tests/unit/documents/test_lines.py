"""Lines of JSON that a power cut may cut off."""

from pathlib import Path

from helpers.field_records import make_champion, make_drift, make_record
from sensorproof.documents.field import FieldRecord
from sensorproof.documents.lines import append_line, read_lines


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "data/drift.jsonl"
    assert read_lines(path, FieldRecord) == []
    records = [make_record("a", make_drift(0.6), make_champion()), make_record("b")]
    for record in records:
        append_line(path, record)
    assert read_lines(path, FieldRecord) == records
    assert path.read_bytes().count(b"\n") == 2


def test_a_line_that_was_cut_off_does_not_count_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "drift.jsonl"
    append_line(path, make_record("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    append_line(path, make_record("b"))
    assert [record.batch for record in read_lines(path, FieldRecord)] == ["a", "b"]
