"""The ledger of ingested batches."""

from pathlib import Path

from sensorproof.ingestion.ledger import LedgerEntry, ingested_as, not_pushed, read_entries, record


def entry(action: str, batch: str = "field-1", content: str = "c1", **values: object) -> LedgerEntry:
    return LedgerEntry.model_validate(
        {"time": "2026-03-01T00:00:00+00:00", "action": action, "batch": batch, "content": content, **values}
    )


def test_an_event_that_is_repeated_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "data/ingested.jsonl"
    for _ in range(2):
        record(path, entry("ingested"))
        record(path, entry("refused", "field-2", "", reason="too dark"))
        record(path, entry("refused", "field-2", "", reason="still too dark"))
    actions = [(each.action, each.reason) for each in read_entries(path)]
    assert actions[:3] == [("ingested", ""), ("refused", "too dark"), ("refused", "still too dark")]
    assert len([a for a in actions if a[0] == "ingested"]) == 1
    assert ingested_as(read_entries(path), "c1") == entry("ingested")
    assert ingested_as(read_entries(path), "c2") is None


def test_what_was_not_pushed_waits(tmp_path: Path) -> None:
    path = tmp_path / "ingested.jsonl"
    record(path, entry("ingested"))
    record(path, entry("ingested", "field-2", "c2"))
    record(path, entry("pushed"))
    assert [each.batch for each in not_pushed(read_entries(path))] == ["field-2"]


def test_a_line_that_was_cut_off_does_not_count_and_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ingested.jsonl"
    record(path, entry("ingested"))
    with path.open("a") as file:
        file.write('{"time": "2026')
    record(path, entry("pushed"))
    assert [each.action for each in read_entries(path)] == ["ingested", "pushed"]
