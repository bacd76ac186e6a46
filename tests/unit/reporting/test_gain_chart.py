"""The places of gains and intervals on their axis."""

import math

from helpers.evaluations import evaluation_of_gain, same_gains
from sensorproof.documents import Gain
from sensorproof.reporting.gain_chart import gain_chart


def test_places_are_in_order_and_zero_is_in_sight() -> None:
    chart = gain_chart(evaluation_of_gain(3.0, 1.0, 5.0, 0.5).gains)
    assert chart is not None
    assert (chart.ticks[0].place, chart.ticks[-1].place) == (0, 100)
    for line in chart.lines:
        assert 0 <= line.start <= line.place <= line.end <= 100
        assert (line.place - chart.zero) * line.value > 0


def test_one_seed_gives_points_without_an_interval() -> None:
    chart = gain_chart(evaluation_of_gain(3.0, None, None, 0.5, 1).gains)
    assert chart is not None
    assert {(line.low, line.high) for line in chart.lines} == {(None, None)}


def test_without_a_gain_there_is_no_chart() -> None:
    assert gain_chart(dict(same_gains(Gain(value=math.nan, ci95=(None, None))))) is None
    assert gain_chart({}) is None
