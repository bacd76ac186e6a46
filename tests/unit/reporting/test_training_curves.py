"""Histories become lines: thinned without a shift, on common axes."""

from pathlib import Path

import numpy as np
import pytest

from sensorproof.errors import SensorproofError
from sensorproof.reporting.training_curves import POINTS, read_losses, thin, training_chart


def test_curves_are_thinned_without_a_shift() -> None:
    steps = np.arange(10, 10_010, 10, dtype=float)
    short, values = thin((steps.tolist(), (2 * steps).tolist()))
    assert len(short) == POINTS
    np.testing.assert_allclose(values, 2 * np.asarray(short))


def test_a_line_begins_at_the_upper_left_and_the_axis_at_zero() -> None:
    chart = training_chart({("baseline", 0): ([0.0, 50.0, 100.0], [2.0, 1.0, 0.5])})
    assert chart.lines[0].points == "0,0 500,500 1000,750"


@pytest.mark.parametrize(
    ("text", "losses"),
    [
        ("step,loss,cross_entropy\n10,1,0.5\n20,1,\n30,1,nan\n40,1,0.25\n", ([10.0, 40.0], [0.5, 0.25])),
        ("step,loss,cross_entropy\n", ([], [])),
    ],
)
def test_rows_without_a_finite_loss_are_left_out(text: str, losses: tuple, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(text)
    assert read_losses(tmp_path / "history.csv") == losses


@pytest.mark.parametrize(
    ("text", "fault"), [("step,loss\n10,1\n", "has no cross_entropy"), ("a,b\n1,2\n", "is no training history")]
)
def test_a_history_without_losses_is_named(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(SensorproofError, match=rf"history\.csv: {fault}"):
        read_losses(tmp_path / "history.csv")
