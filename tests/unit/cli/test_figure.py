"""`sensorproof figure` draws an evaluation or a summary, and refuses everything else in one line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.evaluations import evaluation_of_gain, summary_of_gain
from sensorproof.cli import app
from sensorproof.documents import Evaluation
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.reporting.figure import draw_figure


@pytest.mark.parametrize("document", [evaluation_of_gain(3.0, 1.0, 5.0), summary_of_gain(3.0, 1.0, 5.0)])
def test_it_draws_an_evaluation_and_a_summary(document: Evaluation, tmp_path: Path) -> None:
    document.write(tmp_path / "result.json")
    done = CliRunner().invoke(app, ["figure", str(tmp_path / "result.json"), str(tmp_path / "out.png")])
    assert done.exit_code == 0, done.output
    draw_figure(document, tmp_path / "expected.png")
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


@pytest.mark.parametrize(("text", "fault"), [("[]", "document"), ("{}", "data: missing"), ("{", "cannot be read")])
def test_a_figure_of_something_else_is_one_line(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(text)
    done = CliRunner().invoke(app, ["figure", str(tmp_path / "summary.json"), str(tmp_path / "out.png")])
    assert isinstance(done.exception, SensorproofError)
    assert fault in str(done.exception)


def test_a_figure_is_a_png(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["figure", str(tmp_path / "summary.json"), str(tmp_path / "out.jpg")])
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "out.jpg").exists()
