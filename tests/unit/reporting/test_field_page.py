"""The history of the field as a page and a picture, from its records alone."""

from pathlib import Path

from PIL import Image

from helpers.field_records import make_champion, make_drift, make_record
from sensorproof.documents.field import FieldRecord, RetrainingDecision
from sensorproof.reporting.field_charts import history_series, place
from sensorproof.reporting.field_page import render_field_history, write_field_history

LIMIT = 0.8
RECORDS = [
    make_record("early", make_drift(0.62)),
    make_record("<b>middle", None, make_champion(confidence=0.9)),
    make_record("harbour", make_drift(0.97, drifted=True), make_champion(confidence=0.55, alarms=0.25)),
    make_record("single", make_drift(None), no_champion="classes differ from the model's"),
]


def decision(retrain: bool) -> RetrainingDecision:
    return RetrainingDecision(
        retrain=retrain, reasons=("3 <new>",), champion=2, new_frames=66, notes=("single: no answers",)
    )


def render(records: list[FieldRecord], retrain: bool = True) -> str:
    return render_field_history(records, decision(retrain), LIMIT)


def test_the_decision_is_the_headline_with_its_reasons() -> None:
    page = render(RECORDS)
    assert "<h1>A retraining is due</h1>" in page
    assert "<li>3 &lt;new&gt;</li>" in page
    assert '<li class="soft">single: no answers</li>' in page
    assert "<h1>No retraining is due</h1>" in render(RECORDS, retrain=False)


def test_every_batch_has_a_row_the_newest_first_and_text_is_escaped() -> None:
    page = render(RECORDS)
    rows = page[page.index("<h2>Batches</h2>") : page.index("<h2>Sites</h2>")]
    names = ["4 single", "3 harbour", "2 &lt;b&gt;middle", "1 early"]
    places = [rows.index(name) for name in names]
    assert places == sorted(places)
    assert "<b>middle" not in page
    assert '<span class="drifted">drifted</span>' in rows
    assert "classes differ from the model&#39;s" in rows
    assert "no training data to compare with" in rows
    assert "thermal 25.0 %" in rows


def test_a_history_without_a_batch_or_with_one_is_a_page_too() -> None:
    assert "<h1>No batch has been ingested yet</h1>" in render([])
    assert "<h2>" not in render([])
    assert "1 early" in render(RECORDS[:1])


def test_dots_stand_where_their_values_are_and_lines_break_at_gaps() -> None:
    drift, confidence, alarms = history_series(RECORDS, LIMIT)
    chart = place(drift, [record.batch for record in RECORDS])
    assert [(round(dot.left), round(dot.bottom), dot.marked) for dot in chart.dots] == [(4, 62, False), (65, 97, True)]
    assert chart.dots[1].title == "3 harbour: 0.97"
    assert chart.lines == []  # no two neighbours were measured
    assert len(chart.limits) == 1
    chart = place(confidence, [record.batch for record in RECORDS])
    assert chart.lines == ["347,100 653,450"]
    assert chart.limits == ["347,180 653,180"]
    assert [dot.bottom for dot in place(alarms, ["a", "b", "c", "d"]).dots] == [0, 25]


def test_page_and_picture_are_written_and_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_field_history(tmp_path / name, RECORDS, decision(True), LIMIT)
    with Image.open(tmp_path / "a/history.png") as picture:
        assert picture.size[0] == 1200
    for file in ("history.png", "index.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    write_field_history(tmp_path / "empty", [], decision(False), LIMIT)
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == ["index.html"]
