"""The rows of the report's tables."""

import math

import pytest

from helpers.evaluations import make_arm
from sensorproof.documents import Statistic
from sensorproof.reporting.tables import class_rows, failure_sentence, score_rows, subset_groups


def test_tables_say_what_is_better() -> None:
    arms = {"baseline": make_arm(0), "regularized": make_arm(-2.0)}
    cells = score_rows(arms)[1].cells
    assert [cell.tone for cell in cells] == ["worse", "worse", "worse", "worse"]
    assert cells[3].delta == pytest.approx(2.0)


def test_subsets_are_grouped_by_what_is_missing() -> None:
    groups = subset_groups({"baseline": make_arm(0), "regularized": make_arm(-2.0)})
    assert [(group.title, [row.label for row in group.rows]) for group in groups] == [
        ("nothing missing", ["all sensors"]),
        ("1 sensor missing", ["only depth", "only camera"]),
    ]
    heats = [cell.heat for group in groups for row in group.rows for cell in row.cells]
    assert (min(heats), max(heats)) == (0.0, 1.0)


def test_the_loss_of_a_sensor_is_put_in_words() -> None:
    assert failure_sentence({"baseline": make_arm(0), "regularized": make_arm(-2.0)}) == (
        "Losing one sensor costs the baseline model at most 20.0 points (without depth) "
        "and the regularised model at most 20.0 points (without depth)."
    )


def test_a_score_that_is_missing_is_not_a_zero() -> None:
    better = make_arm(1.0)
    subsets = {**better.subsets, "depth": Statistic(mean=math.nan, std=0.0)}
    arms = {"baseline": make_arm(0), "regularized": better.model_copy(update={"subsets": subsets})}
    row = next(row for group in subset_groups(arms) for row in group.rows if row.label == "only depth")
    assert row.cells[1].value is None
    assert row.cells[1].delta is None
    ghost = class_rows(arms)[1]
    assert ghost.support == 0
    assert all(cell.value is None for cells in ghost.cells for cell in cells)
