"""The page of a validation in a real browser: readable on every screen, complete, and nothing is fetched."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.browser import Page, browser
from helpers.page_checks import CONTRAST, CUT
from helpers.paths import ROOT
from helpers.synthetic_scenes import settings, write_synthetic_batch
from sensorproof.validation import validate_batch


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A batch with frames at fault, and one that is refused."""
    root = tmp_path_factory.mktemp("pages")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        batch = write_synthetic_batch(root / "partly", 12, 2)
        (batch / "other" / "3.png").unlink()
        validate_batch(batch, settings(), Path("partly-out"))
        batch = write_synthetic_batch(root / "refused", 12, 2)
        for image in (batch / "other").iterdir():
            Image.fromarray(np.roll(np.asarray(Image.open(image)), 9, axis=1)).save(image)
        validate_batch(batch, settings(), Path("refused-out"))
    return {name: root / f"{name}-out/index.html" for name in ("partly", "refused")}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize(
    ("name", "title", "state"),
    [
        ("partly", "partly is accepted, without 1 of its 12 frames", "yes"),
        ("refused", "refused is refused: other: the sensor is displaced in all frames alike", "no"),
    ],
)
def test_it_begins_with_the_verdict(name: str, title: str, state: str, pages: dict[str, Path], tab: Page) -> None:
    tab.open(pages[name].as_uri())
    assert tab.evaluate("document.querySelector('h1').textContent").startswith(title)
    assert tab.evaluate("document.querySelector('.answer').className") == f"answer {state}"
    headings = tab.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    wanted = ["Sensor pairs", "Quarantined frames", "Contact sheet", "Warnings", "Rules"]
    assert [heading for heading in wanted if heading in headings] == headings
    assert {"Sensor pairs", "Contact sheet", "Rules"} <= set(headings)


def test_every_pair_has_its_state_and_figures(pages: dict[str, Path], tab: Page) -> None:
    tab.open(pages["refused"].as_uri())
    rows = tab.evaluate(
        "[...document.querySelectorAll('.pairs tbody tr')].map(r => [...r.children].map(c => c.textContent))"
    )
    by_sensor = {row[0]: row[1:] for row in rows}
    assert by_sensor["other"][0] == "misaligned"
    assert float(by_sensor["other"][1]) == pytest.approx(9, abs=0.5)
    assert by_sensor["other"][2:4] == ["12", "12"]


@pytest.mark.parametrize("name", ["partly", "refused"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_the_screen_and_can_be_read(name: str, width: int, pages: dict[str, Path], tab: Page) -> None:
    for dark in (False, True):
        tab.open(pages[name].as_uri(), width=width, dark=dark)
        assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert tab.evaluate(CUT) == []
        found = tab.evaluate(CONTRAST)
        assert found["looked"] > 30
        assert found["faults"] == []


def test_it_loads_nothing_and_leads_to_the_data_docs(pages: dict[str, Path], tab: Page) -> None:
    tab.problems.clear()
    tab.requests.clear()
    tab.open(pages["partly"].as_uri())
    assert [url for url in tab.requests if not url.startswith("data:")] == [pages["partly"].as_uri()]
    assert tab.problems == []
    assert tab.evaluate("[...document.images].map(i => i.naturalWidth)") == [932]
    (link,) = tab.evaluate("[...document.querySelectorAll('a')].map(a => a.href)")
    tab.open(link)
    assert "Sensor alignment" in tab.evaluate("document.body.innerText")
