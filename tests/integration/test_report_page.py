"""The page in a real browser: nothing missing, nothing cut off, readable in light and dark, on paper and on a phone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.browser import Page, browser
from helpers.page_checks import CONTRAST, CUT
from helpers.report_fixtures import OPTIONS, make_data, make_page

PAGES = ("usual", "japanese", "one_arm", "many")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The usual page, one with a single arm, seed and sensor, and one with eight arms and five sensors."""
    root = tmp_path_factory.mktemp("pages")
    five = {name: ("camera", 3) if name == "camera" else ("other", 1) for name in ("camera", "b", "c", "d", "e")}
    arms = (
        "baseline",
        "regularized_dropout",
        "regularized",
        "modality_dropout",
        "random_subset",
        "single_modality",
        "ogm_ge",
        "agm",
    )
    made = {
        "usual": make_page(root / "usual", measured=True),
        "japanese": make_page(root / "japanese", options=replace(OPTIONS, language="ja"), measured=True),
        "one_arm": make_page(
            root / "one", ("baseline",), (0,), data=make_data(root / "alone", {"camera": ("camera", 3)})
        ),
        "many": make_page(
            root / "many", arms, (0, 1), data=make_data(root / "five", five, batch="a_long_name" * 8), measured=True
        ),
    }
    for name, (page, _) in made.items():
        (root / f"{name}.html").write_text(page)
    return {name: (root / f"{name}.html").as_uri() for name in made}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_it_fits_the_screen(name: str, width: int, pages: dict[str, str], tab: Page) -> None:
    tab.open(pages[name], width=width)
    assert tab.evaluate("innerWidth") == width
    assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert tab.evaluate(CUT) == []


@pytest.mark.parametrize("name", PAGES)
def test_it_loads_nothing_and_complains_of_nothing(name: str, pages: dict[str, str], tab: Page) -> None:
    tab.problems.clear()
    tab.requests.clear()
    tab.open(pages[name])
    assert tab.problems == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [pages[name]]
    sizes = tab.evaluate("[...document.images].map(i => i.complete ? i.naturalWidth : 0)")
    assert len(sizes) >= 2 * 3
    assert set(sizes) == {40}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_every_text_stands_out_from_its_ground(name: str, dark: bool, pages: dict[str, str], tab: Page) -> None:
    tab.open(pages[name], dark=dark)
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(17, 22, 28)") == dark
    found = tab.evaluate(CONTRAST)
    assert found["looked"] > 60
    assert found["faults"] == []


def test_what_lies_outside_scrolls_into_view(pages: dict[str, str], tab: Page) -> None:
    tab.open(pages["many"], width=390)
    table = "document.querySelector('.subsets').parentElement"
    assert tab.evaluate(f"{table}.scrollWidth > {table}.clientWidth")
    tab.evaluate(f"{table}.scrollLeft = 300")
    moved = tab.evaluate("document.querySelector('.subsets tbody tr:nth-child(2) th').getBoundingClientRect().left")
    assert 0 <= moved < 60


@pytest.mark.parametrize("width", [360, 1280])
def test_a_verdict_is_never_broken_over_lines(width: int, pages: dict[str, str], tab: Page) -> None:
    tab.open(pages["usual"], width=width)
    lines = "[...document.querySelectorAll('.state')].map(e => [e.textContent, e.getClientRects().length])"
    states = tab.evaluate(lines)
    assert states[:2] == [["aligned", 1], ["unmeasurable", 1]]
    assert len(states) > 20
    assert {rectangles for _, rectangles in states} == {1}
    assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_it_is_printed_in_light(pages: dict[str, str], tab: Page, tmp_path: Path) -> None:
    tab.open(pages["usual"], dark=True)
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", media="print", features=features)
    try:
        assert (
            tab.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor") == "rgb(255, 255, 255)"
        )
        tab.pdf(tmp_path / "page.pdf")
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
