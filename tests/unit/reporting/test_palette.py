"""Colours of classes."""

from hypothesis import given
from hypothesis import strategies as st

from sensorproof.reporting.palette import class_colors


@given(st.lists(st.text(max_size=5) | st.sampled_from(["Road", "road", "grass", "terrain", "car"]), max_size=120))
def test_no_two_classes_share_a_colour(names: list[str]) -> None:
    colors = class_colors(names)
    assert len(set(colors)) == len(names)
    assert colors == class_colors(names)
