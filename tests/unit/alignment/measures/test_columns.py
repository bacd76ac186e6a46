"""The columns of the measures: the page, the table and the rules follow it."""

from helpers.paths import ROOT
from helpers.synthetic_scenes import make_batch, measured
from sensorproof.alignment.measures.columns import MEASURES, NAMES, measures_table


def test_the_page_has_exactly_the_table_of_measures() -> None:
    page = (ROOT / "docs/explanation/alignment.md").read_text(encoding="utf-8")
    assert page.split("<!-- measures -->")[1].split("<!-- /measures -->")[0].strip() == measures_table()


def test_names_are_unique_and_every_measure_has_a_meaning() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(measure.meaning and "\n" not in measure.meaning for measure in MEASURES)


def test_the_table_has_the_named_columns_in_their_order() -> None:
    assert tuple(measured(make_batch(2)).table.columns) == tuple(name for name in NAMES if name != "state")
