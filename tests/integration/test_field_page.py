"""The history of the field in a real browser: readable on every screen, complete, and nothing is fetched."""

from collections.abc import Iterator

import pytest

from helpers.browser import Page, browser
from helpers.field_records import make_champion, make_drift, make_record
from helpers.page_checks import CONTRAST, CUT
from sensorproof.documents.field import RetrainingDecision
from sensorproof.reporting.field_page import write_field_history

BATCHES = 30


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Many batches, one that has drifted, one without a champion."""
    champion = make_champion(alarms=0.1)
    records = [make_record(f"yard-{k:02d}", make_drift(0.5 + k / 100), champion) for k in range(BATCHES - 2)]
    records += [
        make_record("harbour", make_drift(0.97, drifted=True), champion),
        make_record("early", make_drift(None)),
    ]
    decision = RetrainingDecision(retrain=True, reasons=("1 new batch has drifted",), champion=1, new_frames=24)
    folder = tmp_path_factory.mktemp("history")
    write_field_history(folder, records, decision, 0.8)
    return (folder / "index.html").as_uri()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_the_screen_and_can_be_read(width: int, page: str, tab: Page) -> None:
    for dark in (False, True):
        tab.open(page, width=width, dark=dark)
        assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert tab.evaluate(CUT) == []
        found = tab.evaluate(CONTRAST)
        assert found["looked"] > 10 * BATCHES
        assert found["faults"] == []


def test_dots_lie_in_their_charts_and_the_drifted_one_stands_out(page: str, tab: Page) -> None:
    tab.open(page)
    boxes = """
    [...document.querySelectorAll(".chart .canvas")].map(c => {
      const [a, dots] = [c.getBoundingClientRect(), [...c.querySelectorAll(".dot")]];
      return dots.map(d => d.getBoundingClientRect()).every(
        b => b.left >= a.left - 6 && b.right <= a.right + 6 && b.top >= a.top - 6 && b.bottom <= a.bottom + 6
      ) && dots.length;
    })
    """
    assert tab.evaluate(boxes) == [BATCHES - 1] * 3
    marked = "[...document.querySelectorAll('.dot.marked')].map(d => d.title)"
    assert tab.evaluate(marked) == [f"{BATCHES - 1} harbour: 0.97"]


def test_it_loads_nothing(page: str, tab: Page) -> None:
    tab.problems.clear()
    tab.requests.clear()
    tab.open(page)
    assert [url for url in tab.requests if not url.startswith("data:")] == [page]
    assert tab.problems == []
