"""Numbers and names as people read them."""

import math

import pytest

from sensorproof.reporting.formatting import duration, interval, join, share, signed, subset_label, with_limit


def test_numbers_are_honest() -> None:
    shown = [signed(value) for value in (2.14, -0.04, -0.06, 0.0, None, math.nan)]
    assert shown == ["+2.1", "0.0", "−0.1", "0.0", "–", "–"]
    assert [share(value) for value in (0.0, 0.0004, 0.5)] == ["0.0 %", "< 0.1 %", "50.0 %"]
    shown = [duration(value) for value in (0.42, 48.4, 119.6, 200, 7500)]
    assert shown == ["0.4 s", "48 s", "120 s", "3 min 20 s", "2 h 5 min"]


def test_an_interval_names_its_confidence() -> None:
    assert interval((-0.44, 1.25), 0.9) == "90\xa0% interval −0.4 to +1.2"
    assert interval((None, None), 0.95) == "no interval: one seed"


def test_words_are_joined() -> None:
    assert join(["a"]) == "a"
    assert join(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [(1.0264, 1.0, ("1.03", "1.00")), (2.5, 1.0, ("2.5", "1.0")), (1.0, 1.0, ("1.0", "1.0"))],
)
def test_a_figure_just_past_its_limit_does_not_read_as_equal(
    value: float, limit: float, shown: tuple[str, str]
) -> None:
    assert with_limit(value, limit) == shown


def test_subsets_have_names_that_people_use() -> None:
    sensors = ["a", "b", "c", "d"]
    labels = [subset_label(list(subset), sensors) for subset in ("abcd", "abd", "ab", "c")]
    assert labels == ["all sensors", "without c", "a + b", "only c"]
    assert subset_label(["a"], ["a"]) == "only a"
