import base64
import io

import pytest
from PIL import Image

from helpers.search import make_search, make_trial
from sensorproof.documents import SearchResult
from sensorproof.reporting.html_report import environment
from sensorproof.reporting.search_section import SearchSection, search_section


def section(result: SearchResult) -> SearchSection:
    own = search_section(result)
    assert own is not None
    return own


def test_the_choice_and_the_fate_of_the_others_are_said() -> None:
    text = section(make_search()).sentences
    assert text[0] == (
        "Trial 1 of 6 was chosen: the mean over the subsets is the best, 47.2, among the trials of the front that have "
        "the score with all sensors at most 0.5 points below the best one."
    )
    assert "1 trial was stopped early." in text
    assert "1 trial failed." in text
    assert text[-1].startswith("The trials close to the best were trained with 2 seeds")


def test_a_choice_that_breaks_limits_is_said_to() -> None:
    broken = make_trial(0, 50.0, 40.0, violations={"site_loss": 1.5, "loss_full": -1.0})
    text = section(make_search().model_copy(update={"trials": (broken,), "chosen": 0, "front": (0,)})).sentences
    assert text[1].endswith("this one breaks them least (site_loss).")


def test_the_table_has_the_front_and_marks_the_choice() -> None:
    rows = section(make_search()).rows
    assert [(row.number, row.full, row.mean, row.chosen) for row in rows] == [
        (0, 54.1, 44.0, False),
        (1, 53.8, 47.2, True),
    ]
    html = environment().get_template("search.html").render(found=section(make_search()))
    assert html.count("<tr>") == 3
    assert "<b>1</b></th><td>strength 0.1 on prediction</td><td>53.8</td><td>47.2</td>" in html


@pytest.mark.parametrize("name", ["front", "history", "importance", "slices"])
def test_each_picture_is_a_png_of_some_content(name: str) -> None:
    picture = next(own for own in section(make_search()).pictures if own.name == name)
    image = Image.open(io.BytesIO(base64.b64decode(picture.source.split(",")[1])))
    assert image.format == "PNG"
    colors = image.convert("RGB").getcolors(maxcolors=1_000_000)
    assert colors is not None
    assert len(colors) > 20


def test_without_a_search_there_is_no_section() -> None:
    assert search_section(None) is None
    assert search_section(SearchResult(trials=(), best=make_search().best)) is None
    bare = make_search().model_copy(update={"importance": {}})
    assert [own.name for own in section(bare).pictures] == ["front", "history", "slices"]
