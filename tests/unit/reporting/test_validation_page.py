"""The page of a validation, from its verdict alone."""

from pathlib import Path

import pytest

from sensorproof.documents.validation import BatchRecord, PairRecord, VerdictFrames
from sensorproof.reporting.validation_page import FaultLine, RuleLine, render_validation

RULES = [
    RuleLine("contrast > 0.002. Broken: is blank; quarantines the frame.", "frame", "critical", 2, ("depth",)),
    RuleLine("unreadable <= 0. Broken: cannot be read; quarantines the frame.", "frame", "critical", 0, ()),
]


def make_record(**changes: object) -> BatchRecord:
    pair = PairRecord(state="aligned", reason="within 0.1 px", frames=20, measured=18, corner_px=0.1)
    values = {
        "batch": "yard",
        "suite": "alignment-v4",
        "decision": "accepted",
        "reasons": (),
        "warnings": (),
        "frames": VerdictFrames(total=20, quarantined=0, released=0),
        "pairs": {"depth": pair},
        "by_measure": {},
        "drift": None,
    }
    return BatchRecord.model_validate({**values, **changes})


def render(record: BatchRecord, sheet: Path | None = None) -> str:
    faults = [FaultLine("depth", "depth is blank", 2, "f3")] if record.frames.quarantined else []
    return render_validation(record, faults, RULES, sheet, "docs/index.html")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "yard is accepted, with all of its 20 frames"),
        ({"frames": VerdictFrames(total=1, quarantined=0, released=0)}, "yard is accepted, with all of its 1 frame"),
        (
            {"frames": VerdictFrames(total=20, quarantined=2, released=1)},
            "yard is accepted, without 2 of its 20 frames",
        ),
        (
            {"decision": "refused", "reasons": ("depth: the clock is off", "b")},
            "yard is refused: depth: the clock is off",
        ),
    ],
)
def test_the_verdict_is_the_headline(changes: dict[str, object], title: str) -> None:
    assert f"<h1>{title}</h1>" in render(make_record(**changes))


def test_warnings_are_by_sensor_and_text_is_escaped() -> None:
    lines = ("depth: the clock drifts", "label: is mostly ignored in 2 frames", "looks <different>", "depth: is old")
    page = render(make_record(warnings=lines))
    assert page.index("<h3>depth</h3>") < page.index("the clock drifts") < page.index("is old")
    assert page.index("<h3>label</h3>") < page.index("is mostly ignored")
    assert "looks &lt;different&gt;" in page[page.index("<h3>the batch as a whole</h3>") :]


def test_the_contact_sheet_is_in_the_page_and_rules_that_hold_are_folded(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"\x89PNG")
    page = render(make_record(frames=VerdictFrames(total=20, quarantined=2, released=0)), sheet)
    assert 'src="data:image/png;base64,iVBORw=="' in page
    assert page.index("is blank; quarantines") < page.index("<summary>1 rule holds</summary>")
    assert page.index("<summary>1 rule holds</summary>") < page.index("cannot be read; quarantines")
    assert "Contact sheet" not in render(make_record())
