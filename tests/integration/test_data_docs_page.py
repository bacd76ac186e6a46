"""Data Docs in a real browser: everything that matters is on the page, and nothing is fetched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.browser import Page, browser
from helpers.paths import ROOT
from helpers.synthetic_scenes import settings, write_synthetic_batch
from sensorproof.validation import validate_batch


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("docs")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        batch = write_synthetic_batch(root / "made", 12, 2)
        (batch / "other" / "3.png").unlink()
        validate_batch(batch, settings(), Path("out"))
    return root / "out" / "docs"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def test_the_index_leads_to_pages_that_load_nothing_else(docs: Path, page: Page) -> None:
    page.open(f"file://{docs}/index.html")
    links = page.evaluate("[...document.querySelectorAll('a')].map(a => a.href)")
    assert len(links) == 2
    for link in links:
        page.requests.clear()
        page.open(link)
        assert page.requests == [link]
        assert page.evaluate("document.querySelectorAll('a[href*=\"index.html\"]').length") >= 1
    assert page.problems == []


def test_what_was_found_can_be_read(docs: Path, page: Page) -> None:
    result = next(docs.glob("validations/**/*.html"))
    page.open(f"file://{result}")
    text = page.evaluate("document.body.innerText")
    assert "cannot be read; quarantines the frame" in text
    assert "f0003" in text
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    marks = "[...document.querySelectorAll('i.fas')].map(i => getComputedStyle(i, '::before').content)"
    assert {'"\u2713"', '"\u2717"'} <= set(page.evaluate(marks))
    widths = page.evaluate("[...document.querySelectorAll('.ge-section')].map(s => s.getBoundingClientRect().width)")
    assert min(widths) > 600


def test_nothing_that_needs_scripts_is_shown(docs: Path, page: Page) -> None:
    result = next(docs.glob("validations/**/*.html"))
    page.open(f"file://{result}")
    chrome = "document.querySelectorAll('button, .btn, .modal, .collapse')"
    shown = f"[...{chrome}].filter(e => e.getClientRects().length).length"
    assert page.evaluate(shown) == 0
