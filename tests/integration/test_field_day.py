"""The day of `make field-day`, whole: what comes in, what is refused, when a retraining is due, and the champion."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import ROOT
from helpers.project import Project
from sensorproof.data.prepare import read_batches
from sensorproof.documents import Summary


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The project after the day, and what was printed."""
    root = tmp_path_factory.mktemp("day") / "project"
    command = [sys.executable, ROOT / "examples/field_day.py", root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return root, done.stdout


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def part(printed: str, heading: str) -> str:
    """What stands under a heading."""
    return printed.split(heading)[1].split("\n== ")[0]


def test_the_ledger_has_what_became_of_each_batch(day: tuple[Path, str]) -> None:
    root, printed = day
    ledger = {entry["batch"]: entry for entry in lines(root / "data/ingested.jsonl")}
    assert {name: entry["action"] for name, entry in ledger.items()} == {
        "monday": "ingested",
        "knocked": "refused",
        "torn.tar.gz": "refused",
        "monday_again": "duplicate",
        "harbour": "ingested",
        "frozen": "ingested",
    }
    assert "displaced" in ledger["knocked"]["reason"]
    assert "not a whole archive" in ledger["torn.tar.gz"]["reason"]
    assert (ledger["monday"]["quarantined"], ledger["frozen"]["quarantined"]) == (0, 3)
    assert {batch.name for batch in read_batches(root / "data/raw")} == {"base", "monday", "harbour", "frozen"}
    assert all(name in part(printed, "the ledger") for name in ledger)


def test_the_history_has_drift_and_the_champions_answers(day: tuple[Path, str]) -> None:
    root, printed = day
    history = {record["batch"]: record for record in lines(root / "data/drift.jsonl")}
    assert set(history) == {"monday", "harbour", "frozen"}
    assert {name: record["drift"]["drifted"] for name, record in history.items()} == {
        "monday": False,
        "harbour": True,
        "frozen": False,
    }
    assert {record["champion"]["version"] for record in history.values()} == {1}
    assert "thermal" in history["frozen"]["champion"]["alarms_by_sensor"]
    (site,) = history["harbour"]["sites"].values()
    assert site["distance"] > max(s["distance"] for s in history["monday"]["sites"].values())
    assert (root / "artifacts/field/index.html").exists()
    assert "harbour: looks different from the training data" in part(printed, "the drift history")


def test_a_retraining_starts_when_it_is_due_and_ends_with_a_new_champion(day: tuple[Path, str]) -> None:
    root, printed = day
    morning, afternoon = part(printed, "morning"), part(printed, "afternoon")
    assert "no retraining: 24 labelled frames are new since champion version 1 (limit 60)" in morning
    assert "1 new batch has drifted (limit 1): harbour" in afternoon
    assert "77 labelled frames are new since champion version 1 (limit 60)" in afternoon
    summary = Summary.read(root / "artifacts/summary.json")
    assert set(summary.data.batches) == {"base", "monday", "harbour", "frozen"}
    assert (summary.promotion.decision, summary.promotion.version) == ("promoted", 2)
    assert "no retraining: 0 labelled frames are new since champion version 2" in part(printed, "the drift history")


def test_the_night_after_nothing_is_due(day: tuple[Path, str]) -> None:
    root, _ = day
    code = """\
import sys
sys.path.insert(0, "pipelines/flows")
from retraining import retraining
print(retraining(when_due=True, return_state=True).name)
"""
    done = Project(root).run(sys.executable, "-c", code)
    assert done.stdout.splitlines()[-1] == "NotDue"
